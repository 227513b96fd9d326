"""Playing history forward, or checking it, with a progress display and a gate. Dagster is reached through `jobs`."""

from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from lead_scoring_assets.contracts.findings import Evaluation, gate
from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.periods import Period


@dataclass
class HistoryOutcome:
    """What was run to its end, and every reason to stop (none: all is well)."""

    asked: list[Period]
    ran: list[str] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    reasons_to_stop: list[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        if not self.asked:
            return "every period is complete already; --again materialises them once more"
        judged = sum(len(e.periods) for e in self.evaluations)
        failed = [e for e in self.evaluations if not e.passed]
        warnings = sum(not e.is_error for e in failed)
        return (
            f"{len(self.ran)} of {len(self.asked)} periods done, {judged:,} asset checks run, "
            f"{len(failed) - warnings} failed, {warnings} with warnings (see the UI)"
        )


def materialize_history(
    installation: Installation, first: str | None, last: str | None, *, again: bool, console: Console
) -> HistoryOutcome:
    """Run everything over the periods asked for (not those that are complete, unless `again`), and gate on the checks."""
    return _play("everything", asked_periods(installation, first, last), console, skip_complete=not again)


def check_history(
    installation: Installation, first: str | None, last: str | None, *, console: Console
) -> HistoryOutcome:
    """Evaluate every asset check on the tables of the decided periods as they lie there, and gate on them."""
    decided = set(installation.lakehouse.read("promotion_decision", columns=["period"])["period"].to_pylist())
    asked = [period for period in asked_periods(installation, first, last) if period.key in decided]
    if not asked:
        raise LeadScoringError("none of these periods has been materialised; run `lead-scoring materialize` first.")
    return _play("checks", asked, console, skip_complete=False)


def _play(job: str, asked: list[Period], console: Console, *, skip_complete: bool) -> HistoryOutcome:
    from lead_scoring_assets import definitions as front_door
    from lead_scoring_assets import jobs

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with jobs.open_instance() as instance, Progress(*columns, console=console) as progress:
        task = progress.add_task("starting", total=None)
        definitions = front_door.build_definitions(
            loggers={
                jobs.PROGRESS_LOGGER: jobs.progress_logger(
                    lambda what, period: progress.update(task, advance=1, description=f"{what} {period}")
                )
            }
        )
        for run_id in jobs.close_abandoned_runs(instance):
            console.print(f"run {run_id} had been killed: it is marked as failed, and its periods are done again")
        complete = jobs.finished_periods(definitions, instance, job) if skip_complete else set()
        outcome = HistoryOutcome([period for period in asked if period.key not in complete])
        progress.update(task, total=jobs.progress_total(definitions, job, outcome.asked))
        for run in jobs.run_history(definitions, instance, job, outcome.asked):
            keys = [period.key for period in run.periods]
            outcome.ran += [] if run.errors else keys
            outcome.evaluations += run.evaluations
            told = [f"{keys[0]}: {error}" for error in run.errors] + gate((), (), run.evaluations)
            # A stretch that broke off is told by what broke it, not again by every check it never reached.
            outcome.reasons_to_stop += told or gate(jobs.check_names(definitions), keys, run.evaluations)
        progress.update(task, description="done")
    return outcome


def asked_periods(installation: Installation, first: str | None, last: str | None) -> list[Period]:
    """The periods from `first` (default: the calendar's first) to `last` (default: the newest that has closed).

    Raises:
        LeadScoringError: a name is none of a period, or there is no such period that has closed.
    """
    calendar = installation.settings.calendar
    newest = calendar.last_closed(installation.clock.now())
    if newest is None:
        raise LeadScoringError(
            f"no period has closed yet at {installation.clock.now():%Y-%m-%d}; nothing to materialise."
        )
    wanted = calendar.period(last) if last else newest
    if wanted > newest:
        raise LeadScoringError(
            f"period {wanted.key} is not over: expected at most {newest.key}. `lead-scoring arrive` lets the next one land."
        )
    begin = calendar.period(first) if first else calendar.containing(calendar.start)
    if begin.start < calendar.start or wanted.start < calendar.start:
        raise LeadScoringError(
            f"period {min(begin, wanted).key} lies before this system's first one, {calendar.containing(calendar.start).key}: "
            "expected that or a later one. `periods.start` in lead_scoring.yaml says when leads begin."
        )
    if begin > wanted:
        raise LeadScoringError(f"no period from {begin.key} to {wanted.key}: expected the earlier one first (--from).")
    return calendar.through(wanted, begin)
