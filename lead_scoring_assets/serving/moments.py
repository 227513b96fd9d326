"""The injected clock, as a server reads it: often."""

from datetime import UTC, datetime, timedelta

from lead_scoring_assets.clock import Clock, SystemClock

_NOTHING, _SECOND = timedelta(0), timedelta(seconds=1)
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


class Moments:
    """The present, for every request. A clock that has to be looked up is by who calls `look`, many times a second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._is_quick = isinstance(clock, SystemClock)
        self._last = clock.now()
        self._second = _LONG_AGO, ""

    def now(self) -> datetime:
        return self._clock.now() if self._is_quick else self._last

    def iso(self) -> str:
        """The present as records and answers have it: ISO 8601 in UTC, with microseconds."""
        now = self.now()
        # All but the microseconds is the same for a second, and every request asks. One value, because threads ask too.
        second, told = self._second
        if not _NOTHING <= now - second < _SECOND:
            second = now.replace(microsecond=0)
            told = second.isoformat()[:19]
            self._second = second, told
        return f"{told}.{now.microsecond:06}+00:00"

    def look(self) -> None:
        """Read the clock."""
        if not self._is_quick:
            self._last = self._clock.now()
