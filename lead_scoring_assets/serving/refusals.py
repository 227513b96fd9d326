"""Requests that are refused: a status, a name for programs and words for people; nothing of how the server is made."""

from collections.abc import Mapping, Sequence

from pydantic_core import to_json

WORDS: Mapping[str, str] = {
    "validation": "the request is not what this endpoint takes",
    "no_key": "a key is needed: Authorization: Bearer <key> (`lead-scoring keys create`)",
    "unknown_key": "the key is not known here, or was revoked",
    "scope": "the key does not allow this",
    "host": "this server answers its own machine only, under its own name",
    "too_many_requests": "this key has sent too many requests; wait as Retry-After says",
    "too_large": "the request is larger than this endpoint takes",
    "too_many_leads": "more leads than one request may hold",
    "media_type": "expected Content-Type: application/json",
    "length": "the Content-Length is no number",
    "not_found": "there is no such address; see /docs",
    "method": "this address does not take that method; see /docs",
    "no_model": "no model is loaded yet: try again in a moment, and see /health",
    "log": "the prediction log cannot be written, so that the request was not answered; send it again",
    "conflict": "this idempotency key was used for another feedback",
    "not_yet": "the outcome lies in the future by this system's clock; send it once it has happened",
    "explanation": "the score could not be explained; it is still to be had from /predict",
    "disconnected": "the connection ended before the request did",
    "internal": "the request could not be answered; its id is in the server's log",
}


class Refused(Exception):  # noqa: N818  # not a fault of the program
    """A request is answered with `status` and `error`, one of `WORDS`; `details` name fields."""

    def __init__(
        self,
        status: int,
        error: str,
        details: Sequence[Mapping[str, str]] = (),
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(f"{status} {error}")
        self.status = status
        self.error = error
        self.details = details
        self.headers = headers

    def body(self, request_id: str) -> bytes:
        told = {"error": self.error, "message": WORDS[self.error], "request_id": request_id}
        return to_json({**told, "details": list(self.details)} if self.details else told)
