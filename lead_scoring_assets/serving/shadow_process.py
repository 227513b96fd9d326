"""The process that scores the challenger in the shadow: it reads what the servers log, and has no part in any answer.

A lead that waits stands in the log, so nothing is lost whenever this process ends, and its successor goes on to the byte. What a
model does to this process (hang, crash) costs the leads that it was asked for, and after three times the model.
"""

import argparse
import contextlib
import logging
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import groupby, islice
from pathlib import Path

from lead_scoring_assets.errors import LeadScoringError, PredictionLogError
from lead_scoring_assets.files import one_at_a_time
from lead_scoring_assets.prediction_log.records import SHADOWED, line_of
from lead_scoring_assets.prediction_log.unread import Unread
from lead_scoring_assets.prediction_log.writer import LogWriter
from lead_scoring_assets.serving.counts import Counts
from lead_scoring_assets.serving.following import LoadedModel, ShadowFollower
from lead_scoring_assets.serving.processes import end_with
from lead_scoring_assets.serving.shadow import WORKER, Found, ShadowLead, lead_of, record_of_shadow, scored
from lead_scoring_assets.serving.shadow_progress import keep, recovered
from lead_scoring_assets.serving.shadow_turn import LOCK, Asked, Turn, shadow_folder
from lead_scoring_assets.settings import Home

_POLL_SECONDS = 0.02
_LOOK_SECONDS = 0.1
_KEEP_SECONDS = 1.0
_RETRY_SECONDS = 1.0
_LAST_SECONDS = 2.0
# Beyond the time-out, by which a model is judged; only one that hangs meets the end of this process.
_MARGIN_SECONDS = 1.0
_TOGETHER = 64
_MOST_STRIKES = 3
# Of who ends them: not the model's doing.
_BY_OTHERS = (-signal.SIGKILL, -signal.SIGTERM)
_LOG = logging.getLogger(__name__)


class Shadowing:
    """The shadow of one home, step by step. `after`: the code with which the process before it ended, None: there was none."""

    def __init__(self, home: Home, after: int | None = None) -> None:
        settings = home.settings.serving
        self._folder = shadow_folder(home)
        self._most, self._timeout_seconds = settings.shadow.queue, settings.shadow.timeout_ms / 1e3
        self._turn = Turn(self._folder, self._timeout_seconds + _MARGIN_SECONDS)
        self._fatal, self._why_fatal = self._take_over(after)
        self._unread = Unread(self._folder, WORKER, recovered(self._folder))
        self._unread.look()
        self._follower = ShadowFollower(home)
        self._counts = Counts(home.serving / "counts", WORKER)
        self._writer = LogWriter(
            home.serving / "log", WORKER, settings.log.mode, settings.log.segment_bytes, unread=self._folder
        )
        self._waiting: deque[ShadowLead] = deque()
        self._reach: dict[str, int] = {}
        self._looked = self._kept = -float("inf")

    def step(self, now: float) -> bool:
        """Read what is new and settle some leads; whether there was anything to do. `now` counts seconds."""
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            self._follower.look()
            self._unread.look()
        if now - self._kept >= _KEEP_SECONDS:
            self._kept = now
            self._keep()
        self._waiting.extend(filter(None, map(lead_of, self._unread.read(SHADOWED))))
        self._turn.tell(len(self._waiting))
        if (too_many := len(self._waiting) - self._most) > 0:
            dropped = Found("dropped", reason=f"more than {self._most:,} leads wait")
            return self._settle(too_many, lambda leads: [dropped] * len(leads))
        return self._settle(_TOGETHER, self._found)

    def close(self) -> None:
        self._keep()
        self._unread.close()
        self._writer.close()
        self._counts.close()
        self._turn.close()

    def _take_over(self, after: int | None) -> tuple[Asked | None, str]:
        """Which leads the process before was asked for when it ended, if that was the model's doing, and what it did."""
        asked = self._turn.take_over()
        if after is None:
            self._turn.forgive()
        if asked is None or after is None or after in _BY_OTHERS:
            return None, ""
        self._turn.strike(asked.version)
        told = f"its process ended ({after})"
        if after == -signal.SIGALRM:
            told = f"no answer within {self._timeout_seconds * 1e3:,.0f} ms"
        _LOG.warning("v%s: %s; %s times by now", asked.version, told, self._turn.strikes(asked.version))
        return asked, told

    def _settle(self, most: int, found_of: Callable[[Sequence[ShadowLead]], Sequence[Found]]) -> bool:
        """Record what became of the `most` oldest leads; whether there were any."""
        leads = list(islice(self._waiting, most))
        if not leads:
            return False
        try:
            found = found_of(leads)
        finally:
            self._turn.rest()
        lines = [line_of(record_of_shadow(lead, its)) for lead, its in zip(leads, found, strict=True)]
        try:
            self._writer.write(b"".join(lines))
        except PredictionLogError as problem:
            _LOG.warning("the shadow waits: %s", problem)
            time.sleep(_RETRY_SECONDS)
            return True
        for its in found:
            self._waiting.popleft()
            self._counts.shadow(its.outcome)
        return True

    def _found(self, leads: Sequence[ShadowLead]) -> Sequence[Found]:
        found: list[Found] = []
        for (version, _, is_fatal), some in groupby(leads, self._kind):
            alike = list(some)
            if is_fatal:
                found += [Found("timeout", reason=self._why_fatal)] * len(alike)
            elif isinstance(shadow := self._shadow(version), LoadedModel):
                found += scored(alike, shadow.scorer, self._timeout_seconds, self._turn.of)
            else:
                found += [Found("dropped", reason=shadow)] * len(alike)
        return found

    def _kind(self, lead: ShadowLead) -> tuple[int, str, bool]:
        return lead.version, lead.segment, self._fatal is not None and self._fatal.holds(lead)

    def _shadow(self, version: int) -> LoadedModel | str:
        """The model of that version, or why it is not asked."""
        if self._turn.strikes(version) >= _MOST_STRIKES:
            return f"v{version} has hung, or ended its process, {_MOST_STRIKES} times"
        for _ in range(2):
            model = self._follower.model
            if model is not None and model.version == version:
                return model
            self._follower.look()  # the server that answered may have seen it first
        return self._follower.problem or f"v{version} is not the shadow any more"

    def _keep(self) -> None:
        reach = dict(self._unread.positions)
        for lead in reversed(self._waiting):
            reach[lead.segment] = lead.start
        if reach != self._reach:
            try:
                keep(self._folder, reach)
            except OSError as problem:  # then more is looked at after a restart
                _LOG.warning("how far the shadow is cannot be kept: %s", problem)
                return
            self._reach = reach
        self._unread.let_go({lead.segment for lead in self._waiting})


def main() -> int:
    """Score in the shadow until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--after", type=int, help="with which code the process before it ended")
    told = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s shadow %(levelname)s %(message)s")
    end_with(os.getppid())
    home = Home(told.home)
    try:
        # One that nobody looked after may be at its last lead still.
        with one_at_a_time(shadow_folder(home) / LOCK):
            run(home, told.after)
    except LeadScoringError as problem:
        _LOG.error("%s", problem)
        return 2
    return 0


def run(home: Home, after: int | None) -> None:
    """Go on until SIGTERM, then for a little while with what still waits; the rest waits for the next start."""
    is_asked_to_end = False

    def end(signum: int, frame: object) -> None:  # noqa: ARG001  # signal's signature
        nonlocal is_asked_to_end
        is_asked_to_end = True

    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process without Python
    signal.signal(signal.SIGTERM, end)
    shadow = Shadowing(home, after)
    with contextlib.closing(shadow):
        while not is_asked_to_end:
            if not shadow.step(time.monotonic()):
                time.sleep(_POLL_SECONDS)
        until = time.monotonic() + _LAST_SECONDS
        while shadow.step(time.monotonic()) and time.monotonic() < until:
            pass


if __name__ == "__main__":
    sys.exit(main())
