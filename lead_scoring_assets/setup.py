"""Getting an installation ready: the source's history in the landing folder, the clock, the model store. Repeatable."""

from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Protocol

from lead_scoring_assets.clock import ReplayClock
from lead_scoring_assets.errors import LeadScoringError, SettingsError
from lead_scoring_assets.files import write_atomically
from lead_scoring_assets.homes import new_home
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.leads.bank import fetch_bank_file, read_bank_leads
from lead_scoring_assets.models.registry import ModelRegistry
from lead_scoring_assets.periods import Period
from lead_scoring_assets.settings import SETTINGS_FILE, Home
from lead_scoring_assets.simulation.bank_crm import BankCrm, LabelDelay
from lead_scoring_assets.simulation.free_zone import FreeZoneCrm
from lead_scoring_assets.simulation.world import World

_SIMULATED_HOME = Path("data") / "simulated-crm"
_OF_YOUR_OWN = "`lead-scoring materialize` ingests what is there, `lead-scoring doctor` says what is wrong with it."


class Crm(Protocol):
    """A CRM that lands one period's files after the other."""

    def periods(self) -> list[str]:
        """Every period it has, in order."""
        ...

    def land(self, period: str) -> list[Path]:
        """Write a period's files; landing twice gives the same bytes."""
        ...

    def landed_periods(self) -> list[str]:
        """The periods whose files are all there."""
        ...

    def next_period(self) -> str | None:
        """The first period that has not landed; None when all have."""
        ...


@dataclass(frozen=True)
class Prepared:
    """What stands ready: the landed periods, the clock's moment, where files land, and what people must know of them."""

    landed: list[str]
    now: datetime
    landing: str
    remark: str


def turn_to_simulated_crm(home: Home) -> Path:
    """Make a home for the simulated CRM inside `home` (once), and let every verb work there from now on; its folder."""
    folder = home.root / _SIMULATED_HOME
    if not (folder / SETTINGS_FILE).is_file():
        new_home(folder, simulated_settings())
    write_atomically(home.pointer, f"{_SIMULATED_HOME.as_posix()}\n".encode())
    return folder


def simulated_settings() -> str:
    """The shipped settings of the simulated CRM, as YAML."""
    shipped = resources.files("lead_scoring_assets.simulation") / "free_zone.yaml"
    return shipped.read_text(encoding="utf-8")


def open_crm(installation: Installation) -> Crm:
    """The CRM that the settings name, ready to land files.

    Raises:
        LeadScoringError: the leads come from a CRM of one's own, which nothing here plays.
        SourceError: the bank's file cannot be had.
    """
    crm = installation.settings.crm
    if crm == "bank":
        return _bank_crm(installation)
    if crm == "simulated":
        return _free_zone_crm(installation)
    raise LeadScoringError(
        "`crm: own` in lead_scoring.yaml: leads come from your own CRM, nothing is played. Put its files into "
        f"{installation.home.landing}/<leads|activities|outcomes>/<period>/."
    )


def _bank_crm(installation: Installation) -> BankCrm:
    """The bank's CRM, played from the verified public file, with simulated label delays."""
    home, settings = installation.home, installation.settings
    leads = read_bank_leads(fetch_bank_file(home.downloads, mirror=home.mirror))
    delay = LabelDelay(
        maximum_days=settings.labels.conversion_window_days, **settings.bank.simulated_delay.model_dump()
    )
    return BankCrm(leads, delay, home.landing)


def _free_zone_crm(installation: Installation) -> FreeZoneCrm:
    """The simulated CRM, over every period of the settings' calendar."""
    home, settings = installation.home, installation.settings
    end = settings.calendar.end
    if end is None:
        raise SettingsError(
            "periods.end is required with `crm: simulated` in lead_scoring.yaml: the simulated world ends."
        )
    last = settings.calendar.previous(settings.calendar.containing(end))
    slices = [(period.key, period.start, period.end) for period in settings.calendar.through(last)]
    return FreeZoneCrm(World.of(settings.simulated.model_dump()), slices, home.landing, home.truth)


def prepare(installation: Installation) -> Prepared:
    """Land every period of the history that has not landed, start the clock, create the model store.

    With a CRM of one's own nothing is landed, and the clock is the machine's.

    Raises:
        SettingsError: such a CRM, and a clock that only a played history moves.
    """
    settings = installation.settings
    if settings.crm == "own" and settings.clock == "replay" and not installation.home.clock_file.exists():
        raise SettingsError(
            "`clock: replay` in lead_scoring.yaml, expected `clock: system` with `crm: own`: nothing plays the history of your "
            "own CRM, so nothing would ever move that clock. Leads that came before today are there all the same."
        )
    landed = _land_history(installation) if settings.crm != "own" else []
    ModelRegistry(installation.home).prepare()
    landing = settings.sources.landing or f"{installation.home.landing}/<leads|activities|outcomes>/<period>/"
    return Prepared(landed, installation.clock.now(), landing, settings.simulated_part or _OF_YOUR_OWN)


def _land_history(installation: Installation) -> list[str]:
    crm, clock = open_crm(installation), _replay_clock(installation)
    until = installation.settings.periods.history_until or crm.periods()[-1]
    landed = crm.landed_periods()
    for period in crm.periods():
        if period <= until and period not in landed:
            crm.land(period)
    end = installation.settings.calendar.period(until).end
    if not installation.home.clock_file.exists() or clock.now() < end:
        clock.move_to(end)
    return crm.landed_periods()


def arrive(installation: Installation) -> Period | None:
    """Let the next period's leads and outcomes land and the clock move to its end; None when history has ended."""
    clock = _replay_clock(installation)
    if not installation.home.clock_file.exists():
        raise LeadScoringError("nothing has been prepared yet. Run `lead-scoring prepare`, or `make run`, first.")
    crm = open_crm(installation)
    key = crm.next_period()
    if key is None:
        return None
    crm.land(key)
    period = installation.settings.calendar.period(key)
    # Last: until the clock has moved, the sensors leave what has landed alone.
    clock.move_to(max(period.end, clock.now()))
    return period


def _replay_clock(installation: Installation) -> ReplayClock:
    if not isinstance(installation.clock, ReplayClock):
        raise LeadScoringError(
            "history can only be played with `clock: replay` in lead_scoring.yaml, found `clock: system`. "
            "With the system clock, files land by themselves."
        )
    return installation.clock
