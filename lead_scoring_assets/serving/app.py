"""The API: leads go by a thin path, at once where nothing has to be waited for; everything else by FastAPI."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from lead_scoring_assets.errors import PredictionLogError
from lead_scoring_assets.prediction_log.records import ErrorRecord, line_of
from lead_scoring_assets.serving import openapi
from lead_scoring_assets.serving.access import Access
from lead_scoring_assets.serving.counts import Counts
from lead_scoring_assets.serving.endpoints import Asked, Endpoint, Endpoints
from lead_scoring_assets.serving.faults import Fault, isolated
from lead_scoring_assets.serving.health import Health
from lead_scoring_assets.serving.metrics import Metrics
from lead_scoring_assets.serving.moments import Moments
from lead_scoring_assets.serving.refusals import Refused
from lead_scoring_assets.serving.requests import (
    Answered,
    Head,
    Receive,
    RequestIds,
    Scope,
    Send,
    Whole,
    body_of,
    head_of,
    refuse_by_head,
    respond,
)
from lead_scoring_assets.serving.viewer import add_viewer
from lead_scoring_assets.settings import Limits

_LOG = logging.getLogger(__name__)
_BY_STATUS = {404: "not_found", 405: "method"}
_UNKNOWN = "(unknown)"


class Api:
    """One worker's application. Every request ends in one record of the log, an answered lead before its answer."""

    def __init__(
        self,
        worker: str,
        endpoints: Endpoints,
        access: Access,
        health: Health,
        metrics: Metrics,
        counts: Counts,
        moments: Moments,
        write: Callable[[bytes], None],
        limits: Limits,
    ) -> None:
        self._worker = worker
        self._endpoints = endpoints
        self._posts = endpoints.by_path
        self._together = {path.encode(): path for path in endpoints.together}
        self._access = access
        self._counts = counts
        self._moments = moments
        self._write = write
        self._ids = RequestIds()
        self._others = _other_endpoints(health, metrics, self._allow_admin, endpoints.reader.schema, limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._others(scope, receive, send)
            return
        started = time.perf_counter_ns()
        endpoint = self._posts.get(scope["path"])
        if endpoint is not None:
            await self._post(endpoint, scope, receive, send, started)
        else:
            await self._other(scope, receive, send, started)

    def takes_at_once(self, address: bytes) -> bool:
        """Whether POST requests to this address, as it was sent, are answered by `at_once` unless a model is waited for."""
        return address in self._together or (address.partition(b"?")[0] in self._together and b"#" not in address)

    def at_once(self, requests: Sequence[Whole]) -> list[Answered] | None:
        """The answers to whole POST requests that `takes_at_once`, from who need not wait for them: no task, no messages back
        and forth. They are as they would be from the application, which is to be asked where this is None."""
        live = self._endpoints.live_at_once()
        if live is None:
            return None
        asked: list[Asked] = []
        faults: dict[int, Fault] = {}
        for place, request in enumerate(requests):
            found, _, query = request.address.partition(b"?")
            path, actor = self._together[found], None
            endpoint, head = self._posts[path], head_of(request.headers, self._ids)
            try:
                with isolated:
                    actor = self._access.allow(endpoint.scope, head.token, head.host, time.monotonic())
                    refuse_by_head(head, endpoint.most_bytes)
            except Fault as fault:
                faults[place] = fault
            asked.append(Asked(head.request_id, path, request.started, actor, query, request.body))
        admitted = [one for place, one in enumerate(asked) if place not in faults] if faults else asked
        told = iter(self._endpoints.predict_together(live, admitted))
        answers = []
        for place, (request_id, path, started, actor, _, _) in enumerate(asked):
            result = faults[place] if place in faults else next(told)
            if isinstance(result, Fault):
                answered = self._refused(result.cause, request_id, path, started, actor)
            else:
                answered = Answered(200, result, request_id)
            self._counts.request(path, answered.status, time.perf_counter_ns() - started)
            answers.append(answered)
        return answers

    async def _post(self, endpoint: Endpoint, scope: Scope, receive: Receive, send: Send, started: int) -> None:
        head, path = head_of(scope["headers"], self._ids), scope["path"]
        actor = None
        try:
            with isolated:
                if scope["method"] != "POST":
                    raise Refused(405, "method", headers=((b"allow", b"POST"),))
                actor = self._access.allow(endpoint.scope, head.token, head.host, time.monotonic())
                refuse_by_head(head, endpoint.most_bytes)
                body = await body_of(receive, endpoint.most_bytes)
                asked = Asked(head.request_id, path, started, actor, scope["query_string"], body)
                answered = Answered(200, await endpoint.answer(asked), head.request_id)
        except Fault as fault:
            answered = self._refused(fault.cause, head.request_id, path, started, actor)
        self._counts.request(path, answered.status, time.perf_counter_ns() - started)
        await respond(send, answered)

    def _refused(self, problem: Exception, request_id: str, path: str, started: int, actor: str | None) -> Answered:
        refused = _refusal(problem, request_id)
        self._record_refusal(request_id, path, refused.status, refused.error, started, actor)
        return Answered(refused.status, refused.body(request_id), request_id, tuple(refused.headers))

    async def _other(self, scope: Scope, receive: Receive, send: Send, started: int) -> None:
        head = head_of(scope["headers"], self._ids)
        status = 500

        async def sent(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", head.request_id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        scope["state"] = {**scope.get("state", {}), "head": head}
        await self._others(scope, receive, sent)
        if status >= 400 and scope["path"] != "/health":  # which tells of the model, not of a request
            self._record_refusal(head.request_id, _UNKNOWN, status, _BY_STATUS.get(status, "refused"), started, None)
        self._counts.request("other", status, time.perf_counter_ns() - started)

    def _allow_admin(self, head: Head) -> None:
        self._access.allow("admin", head.token, head.host, time.monotonic())

    def _record_refusal(
        self, request_id: str, endpoint: str, status: int, error: str, started: int, actor: str | None
    ) -> None:
        record: ErrorRecord = {
            "kind": "error",
            "request_id": request_id,
            "worker": self._worker,
            "at": self._moments.iso(),
            "endpoint": endpoint,
            "status": status,
            "error": error,
            "latency_us": (time.perf_counter_ns() - started) // 1_000,
            "lead_id": None,
            "actor": actor,
        }
        try:
            self._write(line_of(record))
        except PredictionLogError as problem:
            _LOG.warning("a refusal is not on record: %s", problem)


def _refusal(problem: Exception, request_id: str) -> Refused:
    """What the caller is told; the reason behind it stands in the server's log."""
    if isinstance(problem, Refused):
        if problem.__cause__ is not None:
            _LOG.warning("request %s: %s", request_id, problem.__cause__)
        return problem
    if isinstance(problem, PredictionLogError):
        _LOG.error("request %s: %s", request_id, problem)
        return Refused(503, "log", headers=((b"retry-after", b"1"),))
    _LOG.error("request %s failed", request_id, exc_info=problem)
    return Refused(500, "internal")


def _other_endpoints(
    health: Health, metrics: Metrics, allow_admin: Callable[[Head], None], lead: Mapping[str, Any], limits: Limits
) -> FastAPI:
    """FastAPI's part: what people and monitoring look at, and the document of everything."""
    app = FastAPI(
        title="Lead scoring", description="Scores leads by the model that is live.", docs_url=None, redoc_url=None
    )
    add_viewer(app)

    @app.get(
        "/health",
        tags=["service"],
        summary="What is served, and whether it is well",
        responses={503: {"description": "no verified model is loaded yet"}},
    )
    async def health_of() -> Response:
        status, told = health.tell()
        return Response(to_json(told), status, media_type="application/json")

    @app.get(
        "/metrics",
        tags=["service"],
        summary="Figures for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}},
    )
    async def metrics_of(request: Request) -> Response:
        try:
            allow_admin(request.state.head)
        except Refused as refused:
            return _refused(refused, request)
        return Response(metrics.text(), media_type=metrics.content_type)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, problem: HTTPException) -> Response:
        headers = [(name.lower().encode(), value.encode()) for name, value in (problem.headers or {}).items()]
        return _refused(
            Refused(problem.status_code, _BY_STATUS.get(problem.status_code, "internal"), headers=headers), request
        )

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            told = get_openapi(title=app.title, version="1", description=app.description, routes=app.routes)
            told["paths"] = {**openapi.paths(lead, limits), **told["paths"]}
            told.setdefault("components", {})["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
            app.openapi_schema = told
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # as FastAPI's documentation has it
    return app


def _refused(refused: Refused, request: Request) -> Response:
    headers = {name.decode(): value.decode() for name, value in refused.headers}
    return Response(
        refused.body(request.state.head.request_id), refused.status, headers=headers, media_type="application/json"
    )
