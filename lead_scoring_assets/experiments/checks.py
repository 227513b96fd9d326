"""Asset checks of the readings; what they ask stands in `quality.py`. Not by period, as the asset is not."""

from collections.abc import Callable

import dagster as dg

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.experiments import quality
from lead_scoring_assets.experiments.results import TABLE
from lead_scoring_assets.installation import Installation


def _check(judge: Callable[[Installation], Finding], severity: dg.AssetCheckSeverity) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=TABLE, name=judge.__name__, description=(judge.__doc__ or "").strip())
    def check(installation: dg.ResourceParam[Installation]) -> dg.AssetCheckResult:
        found = judge(installation)
        return dg.AssetCheckResult(
            passed=found.passed, severity=severity, description=found.sentence, metadata=dict(found.numbers)
        )

    return check


CHECKS = [
    _check(quality.sample_ratio_fits, dg.AssetCheckSeverity.ERROR),
    _check(quality.enough_leads_counted, dg.AssetCheckSeverity.WARN),
]
