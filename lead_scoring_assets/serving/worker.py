"""One server process: puts the parts together and answers until it is told to end. Who starts it stands in `processes.py`."""

import argparse
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import uvicorn

from lead_scoring_assets.clock import Clock, open_clock
from lead_scoring_assets.errors import LeadScoringError, PredictionLogError
from lead_scoring_assets.prediction_log.writer import LogWriter
from lead_scoring_assets.serving.access import Access
from lead_scoring_assets.serving.app import Api
from lead_scoring_assets.serving.counts import Counts
from lead_scoring_assets.serving.endpoints import Endpoints, Parts
from lead_scoring_assets.serving.feedback import FILE as FEEDBACK_FILE
from lead_scoring_assets.serving.feedback import FeedbackBook
from lead_scoring_assets.serving.following import Follower
from lead_scoring_assets.serving.health import Health
from lead_scoring_assets.serving.metrics import Metrics
from lead_scoring_assets.serving.moments import Moments
from lead_scoring_assets.serving.processes import end_with
from lead_scoring_assets.serving.protocol import protocol
from lead_scoring_assets.serving.rates import RateLimit
from lead_scoring_assets.serving.scoring import LeadScoring
from lead_scoring_assets.serving.shadow_turn import shadow_folder, state_of
from lead_scoring_assets.settings import Home

_GRACE_SECONDS = 10
_SWITCH_SECONDS = 0.0005
_LOG = logging.getLogger(__name__)


class Worker(NamedTuple):
    """`app`: the ASGI application. `follower`: what it serves by."""

    app: Api
    follower: Follower


class _Log:
    """The prediction log, and whether it took the last record."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer
        self.is_well = True

    def write_durably(self, record: bytes) -> None:
        self.write(record, is_durable=True)

    def write(self, record: bytes, *, is_durable: bool = False) -> None:
        try:
            self._writer.write(record, is_durable=is_durable)
        except PredictionLogError:
            self.is_well = False
            raise
        self.is_well = True


@contextlib.contextmanager
def open_worker(home: Home, name: str, *, may_be_open: bool, clock: Clock | None = None) -> Iterator[Worker]:
    """The worker `name` of an installation, its threads running. `may_be_open`: without keys everybody on this machine may ask.

    `clock`: another one than the settings name.
    """
    settings = home.settings.serving
    moments = Moments(clock or open_clock(home.settings.clock, home.clock_file))
    writer = LogWriter(
        home.serving / "log", name, settings.log.mode, settings.log.segment_bytes, unread=shadow_folder(home)
    )
    log = _Log(writer)
    counts = Counts(home.serving / "counts", name)
    follower = Follower(home, moments, settings.breaker)
    scoring, book = LeadScoring(settings.breaker), FeedbackBook(home.serving / FEEDBACK_FILE)
    limits = settings.limits
    access = Access(lambda: follower.keys, RateLimit(limits.requests_per_second, limits.burst), may_be_open=may_be_open)
    shadow = shadow_folder(home)
    health = Health(name, follower, moments, access, lambda: log.is_well, lambda: state_of(shadow))
    metrics = Metrics(home.serving / "counts", lambda: follower.live, health.model_age_seconds)
    parts = Parts(
        worker=name,
        registry=home.settings.registry,
        buckets=home.settings.scoring.buckets,
        settings=settings,
        follower=follower,
        scoring=scoring,
        moments=moments,
        counts=counts,
        write=log.write,
        write_durably=log.write_durably,
        feedback=book,
    )
    app = Api(name, Endpoints(parts), access, health, metrics, counts, moments, log.write, limits)
    follower.start()
    try:
        yield Worker(app, follower)
    finally:
        follower.end()
        scoring.end()
        book.close()
        writer.close()
        counts.close()


def server_of(app: Api, request_seconds: float) -> uvicorn.Server:
    """uvicorn, quiet and without a limit of its own to what the application limits."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            loop="uvloop" if sys.platform != "win32" else "asyncio",
            http=protocol(request_seconds, app),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # Nothing here asks where a request came from; who would believe its headers could be told anything.
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            backlog=2_048,
        )
    )


def main() -> int:
    """Serve on a socket that the supervisor has opened, until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("name")
    parser.add_argument("socket", type=int)
    parser.add_argument("--may-be-open", action="store_true")
    told = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format=f"%(asctime)s {told.name} %(levelname)s %(message)s")
    listening = socket.socket(fileno=told.socket)
    # uvicorn raises the signal that ended it once more; what was written has to be brought to the disk first.
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, _only_once)
    end_with(os.getppid())
    # Whoever writes to the log lets go of Python's lock; a thread that takes it then gives it back this soon.
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        home = Home(told.home)
        with open_worker(home, told.name, may_be_open=told.may_be_open) as worker:
            server_of(worker.app, home.settings.serving.limits.request_seconds).run(sockets=[listening])
    except LeadScoringError as problem:
        _LOG.error("%s", problem)
        return 2
    # A model that hangs in a thread would keep the process for ever.
    logging.shutdown()
    os._exit(0)


def _only_once(signum: int, frame: object) -> None:  # signal's signature
    """uvicorn has heard of it."""


if __name__ == "__main__":
    sys.exit(main())
