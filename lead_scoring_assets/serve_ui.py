"""Opening the product: the Dagster UI with its daemon, the scoring API and the reports, on loopback only, until Ctrl-C."""

import contextlib
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from rich.console import Console

from lead_scoring_assets.alerts.pages import episode_page, front_page
from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.files import only_one
from lead_scoring_assets.installation import Installation

HOST = "127.0.0.1"
_PATIENCE_SECONDS = 120
_GRACE_SECONDS = 20


class _Pages(http.server.SimpleHTTPRequestHandler):
    """Serves the reports, quietly; in place of the folder's list what lasts and what there is, or the episode asked for."""

    def __init__(self, *args: Any, installation: Installation, **options: Any) -> None:
        self._installation = installation
        super().__init__(*args, **options)

    def list_directory(self, path: str | os.PathLike[str]) -> None:
        asked = parse_qs(urlsplit(self.path).query).get("episode")
        try:
            if asked is None:
                names = sorted((p.name for p in Path(path).glob("*.html")), reverse=True)
                self._send(HTTPStatus.OK, front_page(self._installation, names))
            elif (page := episode_page(self._installation, asked[0])) is not None:
                self._send(HTTPStatus.OK, page)
            else:
                self.send_error(HTTPStatus.NOT_FOUND, explain=f"No alert is called {asked[0]}.")
        except LeadScoringError as problem:
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR, explain=str(problem))

    def _send(self, status: HTTPStatus, page: str) -> None:
        content = page.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        pass


def serve_pages(installation: Installation, port: int) -> http.server.ThreadingHTTPServer:
    """Serve reports and alerts at http://127.0.0.1:port in a thread; the caller shuts the server down."""
    folder = installation.home.reports
    folder.mkdir(parents=True, exist_ok=True)
    handler = partial(_Pages, directory=str(folder), installation=installation)
    server = http.server.ThreadingHTTPServer((HOST, port), handler)
    threading.Thread(target=server.serve_forever, daemon=True, name="reports").start()
    return server


def refuse_taken_port(port: int, what: str, remedy: str) -> None:
    """Say what to do when somebody else listens on `port`.

    Raises:
        LeadScoringError: the port is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise LeadScoringError(
                f"port {port} on {HOST} is taken, expected it free for {what}. Stop the program that uses it, or {remedy}."
            ) from None


def serve(installation: Installation, port: int, console: Console) -> int:
    """Run until Ctrl-C or SIGTERM; the exit code is 0 then, and Dagster's own when it ends by itself."""
    pages = installation.settings.pages
    refuse_taken_port(port, "the Dagster UI", f"choose another: `make run PORT={port + 1}`")
    refuse_taken_port(pages.port, "the reports", "set `pages: {port: …}` in lead_scoring.yaml")
    with _alone(installation):
        return _serve(installation, port, console)


def is_at_work(installation: Installation) -> bool:
    """Whether `lead-scoring start` works in this home, so that its daemon launches what is asked for."""
    try:
        with _alone(installation):
            return False
    except LeadScoringError:
        return True


def _alone(installation: Installation) -> contextlib.AbstractContextManager[None]:
    """Hold the home while a daemon works in it."""
    refusal = LeadScoringError(
        f"another `lead-scoring start` works in {installation.home.root}: expected none, because two daemons would launch "
        "everything twice. End that one first, or use its UI."
    )
    return only_one(installation.home.lock("daemon"), refusal)


def _close_abandoned_runs(console: Console) -> None:
    """What was running when the machine or the product was killed would keep the queue waiting for ever."""
    from lead_scoring_assets import jobs

    with jobs.open_instance() as instance:
        for run_id in jobs.close_abandoned_runs(instance, no_daemon=True):
            console.print(f"run {run_id} had been killed: it is marked as failed; launch it again in the UI")


def _serve(installation: Installation, port: int, console: Console) -> int:
    pages = installation.settings.pages
    _close_abandoned_runs(console)
    reports = serve_pages(installation, pages.port)
    log = installation.home.data / "logs" / "dagster.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    dagster = _start(log, "dagster", "dev", "--workspace", "workspace.yaml", "--host", HOST, "--port", str(port))
    api_log = log.with_name("serving.log")
    api = _start(api_log, "lead-scoring", "--home", str(installation.home.root), "serve")
    console.print(f"starting the Dagster UI (its log: {log}) and the scoring API ({api_log})")
    # SIGINT too: a shell that starts us in the background would have it ignored.
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, _as_interrupt)
    try:
        if not _answers(f"http://{HOST}:{port}/server_info", dagster):
            raise LeadScoringError(f"the Dagster UI did not start: expected an answer on port {port}. Read {log}.")
        console.print(
            f"\n[bold green]ready[/]  Dagster UI  http://{HOST}:{port}   assets, lineage, checks, backfills, sensors\n"
            f"       Reports     {pages.url}   what managers read, drift period by period, and alerts\n"
            f"       {_api_in_words(installation, api, api_log)}\n\n"
            "In another terminal, from this folder:\n"
            "  .venv/bin/lead-scoring arrive     lets the next month land; then watch Automation and Runs in the UI\n"
            "  .venv/bin/lead-scoring status     says where things stand, and what retraining waits for\n"
            "  .venv/bin/lead-scoring worklist   says which leads to call first\n"
            "Ctrl-C ends all of it."
        )
        return dagster.wait()
    except KeyboardInterrupt:
        console.print("ending …")
        return 0
    finally:
        # Asked once is enough: a second Ctrl-C while things end must not leave half of them running.
        for asked in (signal.SIGTERM, signal.SIGINT):
            signal.signal(asked, signal.SIG_IGN)
        end_group(api)
        end_group(dagster)
        reports.shutdown()


def _start(log: Path, verb: str, *arguments: str) -> "subprocess.Popen[bytes]":
    """A program of our own environment, in a group of its own, so that it and its children can be ended together."""
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603  # our own interpreter's, no outside words
            [str(Path(sys.executable).with_name(verb)), *arguments],
            start_new_session=True,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def _api_in_words(installation: Installation, api: "subprocess.Popen[bytes]", log: Path) -> str:
    """Where the API answers; or that it does not, which stops nothing else."""
    settings = installation.settings.serving
    if settings.port == 0:
        return f"Scoring API its address stands in {log}, because `serving.port` is 0"
    url = settings.url
    if _answers(f"{url}/health", api):
        return f"Scoring API {url}/docs   one lead or many, explained; feedback"
    return f"[yellow]no scoring API[/]: it did not start; read {log}. Another one, or another program, on its port?"


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process with everything it started: asked first, forced after 20 seconds."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310  # loopback
                return True
        except urllib.error.HTTPError as answered:  # while no model is live the API says so with 503
            answered.close()
            return True
        except OSError:
            time.sleep(0.3)
    return False


def _as_interrupt(signum: int, frame: object) -> None:  # noqa: ARG001  # signal's signature
    raise KeyboardInterrupt
