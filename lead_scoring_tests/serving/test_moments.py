"""The present as a server tells it: what `isoformat` gives, whichever way the clock goes."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.clock import FixedClock
from lead_scoring_assets.serving.moments import Moments


class Hands(FixedClock):
    """A clock that is set by hand."""

    def set(self, moment: datetime) -> None:
        self._moment = moment


@given(st.lists(st.datetimes(timezones=st.just(UTC)), max_size=3), st.lists(st.integers(-3_000_000, 3_000_000)))
def test_a_moment_is_told_as_iso_8601_has_it(moments: list[datetime], steps: list[int]) -> None:
    clock = Hands(datetime(2008, 5, 1, tzinfo=UTC))
    told = Moments(clock)
    near = [datetime(2008, 5, 1, tzinfo=UTC) + timedelta(microseconds=step) for step in steps]
    for moment in [*moments, *near]:
        clock.set(moment)
        told.look()
        assert told.iso() == moment.isoformat(timespec="microseconds")
