"""Getting an installation ready: the source's history in the landing folder, the clock, the model store. Repeatable."""

from dataclasses import dataclass
from datetime import datetime

from lead_scoring_assets.clock import ReplayClock
from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.leads.bank import fetch_bank_file, read_bank_leads
from lead_scoring_assets.models.registry import ModelRegistry
from lead_scoring_assets.periods import Period
from lead_scoring_assets.simulation.bank_crm import BankCrm, LabelDelay


@dataclass(frozen=True)
class Prepared:
    """What stands ready: the newest landed period and the clock's moment."""

    landed: list[str]
    now: datetime


def open_bank_crm(installation: Installation) -> BankCrm:
    """The bank's CRM, played from the verified public file, with simulated label delays."""
    home, settings = installation.home, installation.settings
    leads = read_bank_leads(fetch_bank_file(home.downloads, mirror=home.mirror))
    delay = LabelDelay(
        maximum_days=settings.labels.conversion_window_days, **settings.bank.simulated_delay.model_dump()
    )
    return BankCrm(leads, delay, home.landing)


def prepare(installation: Installation) -> Prepared:
    """Land every period of the history that has not landed, start the clock, create the model store."""
    crm, clock = open_bank_crm(installation), _replay_clock(installation)
    until = installation.settings.periods.history_until or crm.periods()[-1]
    landed = crm.landed_periods()
    for period in crm.periods():
        if period <= until and period not in landed:
            crm.land(period)
    end = installation.settings.calendar.period(until).end
    if not installation.home.clock_file.exists() or clock.now() < end:
        clock.move_to(end)
    ModelRegistry(installation.home).prepare()
    return Prepared(landed=crm.landed_periods(), now=clock.now())


def arrive(installation: Installation) -> Period | None:
    """Let the next period's leads and outcomes land and the clock move to its end; None when history has ended."""
    clock = _replay_clock(installation)
    if not installation.home.clock_file.exists():
        raise LeadScoringError("nothing has been prepared yet. Run `lead-scoring prepare`, or `make run`, first.")
    crm = open_bank_crm(installation)
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
            "With the system clock, put files into data/landing/ yourself."
        )
    return installation.clock
