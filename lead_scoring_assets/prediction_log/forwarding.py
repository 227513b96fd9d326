"""Sending this machine's prediction log to where several machines send theirs, while its API runs."""

import logging
import threading
from typing import Protocol

from lead_scoring_assets.errors import PredictionLogError
from lead_scoring_assets.prediction_log.segments import LogFolder, LogSource

_LOG = logging.getLogger(__name__)
_INTERVAL_SECONDS = 1.0


class SharedLog(LogSource, Protocol):
    """The log of several machines: it is sent to, and read."""

    def send(self, folder: LogFolder) -> int:
        """Send every complete line of `folder` that was not sent yet; how many. Segments that are sent to their end, and that
        nobody writes to, are removed from the folder.

        Raises:
            PredictionLogError: it cannot be reached or refuses; what was sent stays, the rest is sent next time.
        """
        ...


class Forwarder:
    """A thread that sends this machine's lines, once a second, for as long as the API runs. It never stops the API."""

    def __init__(self, log: SharedLog, folder: LogFolder) -> None:
        self._log, self._folder = log, folder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="prediction-log-forwarder")
        self.problem: str | None = None
        """Why the last attempt failed; None when it did not."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Send what is left, once, and end."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            is_last = self._stop.wait(_INTERVAL_SECONDS)
            try:
                self._log.send(self._folder)
                self.problem = None
            except (PredictionLogError, OSError) as problem:
                if self.problem is None:
                    _LOG.warning("%s", problem)
                self.problem = str(problem)
            if is_last:
                return
