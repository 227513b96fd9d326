"""One installation put together: its settings, tables, clock and event log. Assets, sensors and the CLI all hold this."""

from functools import cached_property

from lead_scoring_assets.clock import Clock, open_clock
from lead_scoring_assets.events.log import EventLog
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.settings import Home, Settings


class Installation:
    """The ground floor of one home folder."""

    def __init__(self, home: Home) -> None:
        self.home = home

    @property
    def settings(self) -> Settings:
        return self.home.settings

    @cached_property
    def lakehouse(self) -> Lakehouse:
        return Lakehouse(self.home.lakehouse)

    @cached_property
    def events(self) -> EventLog:
        return EventLog(self.lakehouse)

    @cached_property
    def clock(self) -> Clock:
        return open_clock(self.settings.clock, self.home.clock_file)
