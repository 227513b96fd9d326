"""Failed runs and failed checks as alerts, and which of them a later run or check ends. Told in plain values, no Dagster."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from lead_scoring_assets.alerts.alerts import Alert
from lead_scoring_assets.alerts.episodes import RaisedAlert

_RUN, _CHECK = "alert-run-", "alert-check-"


@dataclass(frozen=True)
class CheckResult:
    """One evaluation of the check `asset:name` over `periods`, of which `failed_periods` failed."""

    run_id: str
    check: str
    passed: bool
    is_error: bool
    sentence: str
    periods: tuple[str, ...] = ()
    failed_periods: tuple[str, ...] = ()
    figures: Mapping[str, float] | None = None

    @property
    def passed_periods(self) -> frozenset[str]:
        return frozenset(self.periods) - frozenset(self.failed_periods)


def alert_on_run(run_id: str, job: str, periods: tuple[str, ...], told_periods: str, message: str | None) -> Alert:
    """A run that failed is critical: what it was to make is missing."""
    return Alert(
        alert_id=f"{_RUN}{run_id}",
        level="critical",
        subject=job,
        message=f"run {run_id} of {job} ({told_periods}) failed: {message}",
        periods=periods,
    )


def alert_on_check(result: CheckResult) -> Alert:
    """A failed error is critical, a failed warning a warning."""
    return Alert(
        alert_id=f"{_CHECK}{result.run_id}-{result.check}",
        level="critical" if result.is_error else "warning",
        subject=result.check,
        message=f"{result.check} failed: {result.sentence}",
        periods=result.failed_periods,
        evidence=result.figures or {},
    )


def is_of_the_past(result: CheckResult) -> bool:
    """Whether a watch check that failed is calm again by the same look: many periods at once, of which the newest passed.

    `ended_by_check` would end its alert at once. Who plays years of history has nothing to do about its bad months.
    """
    return not result.is_error and bool(result.passed_periods) and max(result.periods) in result.passed_periods


def run_of(alert: RaisedAlert) -> str:
    """The run that failed, or whose check did."""
    return alert.alert_id.removeprefix(_RUN).removeprefix(_CHECK).removesuffix(f"-{alert.subject}")


def ended_by_check(result: CheckResult, alerts: Iterable[RaisedAlert]) -> list[tuple[RaisedAlert, Collection[str]]]:
    """The open alerts on this check that `result` ends, each with its periods that are over.

    A contract is kept for a period when it is kept for that period. A watch check looks at how things stand: it is
    over when a period as late, or later, is calm.
    """
    ended = []
    for alert in alerts:
        if alert.subject == result.check and alert.alert_id.startswith(_CHECK):
            over = _over(alert, result)
            if over is not None:
                ended.append((alert, over))
    return ended


def ended_by_run(
    job: str, periods: Collection[str], alerts: Iterable[RaisedAlert]
) -> list[tuple[RaisedAlert, Collection[str]]]:
    """The open alerts on runs of `job` that its success over `periods` ends, each with its periods that are over."""
    return [
        (alert, set(periods) & set(alert.periods))
        for alert in alerts
        if alert.subject == job
        and alert.alert_id.startswith(_RUN)
        and (set(periods) & set(alert.periods) if alert.periods else not periods)
    ]


def _over(alert: RaisedAlert, result: CheckResult) -> Collection[str] | None:
    """The alert's periods that the result shows to be well; None when it shows nothing of them."""
    if not alert.periods or not result.periods:
        return alert.periods if result.passed else None
    if alert.level == "critical":
        return result.passed_periods & set(alert.periods) or None
    # Keys of one calendar sort as their periods do.
    newest = max(result.periods)
    return alert.periods if newest >= max(alert.periods) and newest in result.passed_periods else None
