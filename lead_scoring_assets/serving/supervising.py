"""Serving until Ctrl-C: the model agent in this process, and the processes beside it."""

import contextlib
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

from lead_scoring_assets.errors import LeadScoringError, ServingError
from lead_scoring_assets.files import only_one
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.prediction_log.sources import forwarding
from lead_scoring_assets.serving.agent import ModelAgent
from lead_scoring_assets.serving.keys import FILE as KEYS_FILE
from lead_scoring_assets.serving.keys import read_keys
from lead_scoring_assets.serving.processes import Processes, Tell
from lead_scoring_assets.settings import is_loopback

_LOOK_SECONDS = 0.05
_PATIENCE_SECONDS = 60.0


def serve(installation: Installation, host: str, port: int, workers: int, tell: Tell) -> int:
    """Serve until Ctrl-C or SIGTERM; the exit code.

    Raises:
        ServingError: the port is taken, another one serves this home, or keys are needed and there are none.
        LeadScoringError: the replay's clock has not been started.
        PredictionLogError: the log goes to PostgreSQL, and its library or its address is missing.
    """
    home = installation.home
    keys = read_keys(home.serving / KEYS_FILE)
    may_be_open = is_loopback(host)
    if not may_be_open and not len(keys):
        raise ServingError(
            f"{host} can be reached from other machines and there are no keys: expected at least one. Create one "
            "(`lead-scoring keys create NAME --scope score`), or serve on 127.0.0.1."
        )
    installation.clock.now()  # without it every worker would end at once, again and again, and callers wait for ever
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, _as_interrupt)
    with _alone(installation), _listening(host, port) as listening, forwarding(installation):
        agent = ModelAgent(installation)
        told = _first_look(agent)
        agent.start()
        group = Processes(str(home.root), listening, workers, tell, may_be_open=may_be_open)
        try:
            group.look(time.monotonic())
            address = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
            _wait_for(address, group)
            tell(f"serving on {address} with {workers} worker{'s' if workers > 1 else ''}; documents: {address}/docs")
            tell(told)
            tell(
                f"keys: {len(keys)}, asked for"
                if len(keys)
                else "keys: none, everybody on this machine may ask (`lead-scoring keys create` closes it)"
            )
            tell("Ctrl-C ends it.")
            while True:
                time.sleep(_LOOK_SECONDS)
                group.look(time.monotonic())
        except KeyboardInterrupt:
            tell("ending …")
            return 0
        finally:
            for asked in (signal.SIGTERM, signal.SIGINT):
                signal.signal(asked, signal.SIG_IGN)
            group.end()
            agent.end()


def _first_look(agent: ModelAgent) -> str:
    try:
        found = agent.look()
    except LeadScoringError as problem:
        return f"model: what is live cannot be verified, the last one known is served: {problem}"
    if found is None:
        return "model: none is live yet; /health says 503 until one is"
    beside = f", v{found.challenger.version} beside it ({found.traffic.mode})" if found.challenger else ""
    return f"model: v{found.champion.version} is live{beside}"


def _wait_for(address: str, group: Processes) -> None:
    """Until a worker answers, whatever it says."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=2):  # noqa: S310  # our own
                    return
            except urllib.error.HTTPError as answered:
                answered.close()
                return
        time.sleep(_LOOK_SECONDS)
        group.look(time.monotonic())


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
            listening.listen(2_048)
        except OSError as problem:
            raise ServingError(
                f"cannot listen on {host}:{port} ({problem.strerror}): expected it free, and an address of this machine. Stop "
                "the program that uses it, or choose another: `lead-scoring serve --port PORT`."
            ) from None
        yield listening


def _alone(installation: Installation) -> contextlib.AbstractContextManager[None]:
    """Hold the home: two agents would write one file."""
    refusal = ServingError(
        f"another `lead-scoring serve` works in {installation.home.root}: expected none. End that one first, or give it more "
        "workers."
    )
    return only_one(installation.home.lock("serving"), refusal)


def _as_interrupt(signum: int, frame: object) -> None:  # noqa: ARG001  # signal's signature
    raise KeyboardInterrupt
