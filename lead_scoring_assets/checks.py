"""The two sorts of asset check: contract checks stop a bad slice, watch checks are seen by people.

Rooms bring pure judgements (installation, period → finding); this module makes them Dagster checks.
"""

from collections.abc import Callable

import dagster as dg

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.partitions import PERIODS, periods_of
from lead_scoring_assets.periods import Period

Judgement = Callable[[Installation, Period], Finding]
LogJudgement = Callable[[Installation], Finding]


def contract_check(asset: str, judge: Judgement) -> dg.AssetChecksDefinition:
    """A check whose failure is an error and keeps everything downstream from running."""
    return _build(asset, judge, blocking=True, severity=dg.AssetCheckSeverity.ERROR)


def watch_check(asset: str, judge: Judgement) -> dg.AssetChecksDefinition:
    """A check whose failure is a warning: data keep flowing, people and sensors see it."""
    return _build(asset, judge, blocking=False, severity=dg.AssetCheckSeverity.WARN)


def log_check(asset: str, judge: LogJudgement, *, is_error: bool = False) -> dg.AssetChecksDefinition:
    """A check of an asset that grows as the API is used and has no partitions; nothing waits for it."""
    severity = dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN

    @dg.asset_check(asset=dg.AssetKey(asset), name=judge.__name__, description=(judge.__doc__ or "").strip())
    def check(installation: dg.ResourceParam[Installation]) -> dg.AssetCheckResult:
        finding = judge(installation)
        return dg.AssetCheckResult(
            passed=finding.passed,
            severity=severity,
            description=finding.sentence,
            metadata={"periods": [], **dict(finding.numbers)},
        )

    return check


def _build(
    asset: str, judge: Judgement, *, blocking: bool, severity: dg.AssetCheckSeverity
) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey(asset),
        name=judge.__name__,
        description=(judge.__doc__ or "").strip(),
        blocking=blocking,
        partitions_def=PERIODS,
    )
    def check(
        context: dg.AssetCheckExecutionContext, installation: dg.ResourceParam[Installation]
    ) -> dg.AssetCheckResult:
        found = {period.key: judge(installation, period) for period in periods_of(context)}
        failed = {key: finding for key, finding in found.items() if not finding.passed}
        told = failed or found
        return dg.AssetCheckResult(
            passed=not failed,
            severity=severity,
            description="; ".join(f"{key}: {finding.sentence}" for key, finding in told.items()),
            metadata={
                "periods": list(found),
                **(dict(next(iter(found.values())).numbers) if len(found) == 1 else {"failed_periods": list(failed)}),
            },
        )

    return check
