"""Playing history forward with a progress display: what `lead-scoring materialize` does. Dagster is reached through `jobs`."""

from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lead_scoring_assets.contracts.findings import Evaluation, gate
from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.periods import Period

JOB = "everything"


@dataclass
class HistoryOutcome:
    """What was run, and every reason to stop (none: all is well)."""

    asked: list[Period]
    ran: list[str] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    reasons_to_stop: list[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        if not self.asked:
            return "every period is complete already; --again materialises them once more"
        failed = [e for e in self.evaluations if not e.passed]
        warnings = sum(not e.is_error for e in failed)
        return (
            f"{len(self.ran)} of {len(self.asked)} periods materialised, {len(self.evaluations):,} asset checks run, "
            f"{len(failed) - warnings} failed, {warnings} warnings"
        )


def materialize_history(
    installation: Installation, first: str | None, last: str | None, *, again: bool, console: Console
) -> HistoryOutcome:
    """Run everything, period by period, and gate on the checks of the periods that ran."""
    from dagster import DagsterInstance

    from lead_scoring_assets import jobs
    from lead_scoring_assets.definitions import defs

    with DagsterInstance.get() as instance:
        for run_id in jobs.close_abandoned_runs(instance):
            console.print(f"run {run_id} had been killed; it is marked as failed and its period will be materialised again")
        done = set() if again else jobs.finished_periods(defs, instance, JOB)
        outcome = HistoryOutcome([period for period in _asked(installation, first, last) if period.key not in done])
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("materialising", total=len(outcome.asked))
            for run in jobs.run_periods(defs, instance, JOB, outcome.asked):
                outcome.ran.append(run.period.key)
                outcome.evaluations += run.evaluations
                outcome.reasons_to_stop += [f"{run.period.key}: {error}" for error in run.errors]
                progress.update(task, advance=1, description=f"materialised {run.period.key}")
    # A period that broke off is told once, by the step that failed, not once more for every check it never reached.
    broke_off = {reason.split(":")[0] for reason in outcome.reasons_to_stop}
    whole = [key for key in outcome.ran if key not in broke_off]
    outcome.reasons_to_stop += gate(jobs.check_names(defs), whole, outcome.evaluations)
    return outcome


def _asked(installation: Installation, first: str | None, last: str | None) -> list[Period]:
    calendar = installation.settings.calendar
    newest = calendar.last_closed(installation.clock.now())
    if newest is None:
        raise LeadScoringError(f"no period has closed yet at {installation.clock.now():%Y-%m-%d}; nothing to materialise.")
    wanted = calendar.period(last) if last else newest
    if wanted > newest:
        raise LeadScoringError(
            f"period {wanted.key} is not over: expected at most {newest.key}. `lead-scoring arrive` lets the next one land."
        )
    return calendar.through(wanted, calendar.period(first) if first else None)
