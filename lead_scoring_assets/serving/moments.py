"""The injected clock, as a server reads it: often."""

from datetime import datetime

from lead_scoring_assets.clock import Clock, SystemClock


class Moments:
    """The present, for every request. A clock that has to be looked up is, every 100 ms, by who calls `look`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._is_quick = isinstance(clock, SystemClock)
        self._last = clock.now()

    def now(self) -> datetime:
        return self._clock.now() if self._is_quick else self._last

    def iso(self) -> str:
        """The present as records and answers have it: ISO 8601 in UTC, with microseconds."""
        return self.now().isoformat(timespec="microseconds")

    def look(self) -> None:
        """Read the clock."""
        if not self._is_quick:
            self._last = self._clock.now()
