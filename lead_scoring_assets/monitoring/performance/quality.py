"""Judgements on performance: the labels are complete, and the live scores rank well enough."""

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.periods import Period


def labels_cover_cohort(installation: Installation, period: Period) -> Finding:
    """The matured cohort's labels are complete: performance is not computed on the outcomes that came first."""
    rows = installation.lakehouse.read("model_performance", periods=[period.key]).to_pylist()
    low = [row for row in rows if row["label_coverage"] < 1]
    if low:
        return Finding(
            False, f"v{low[0]['model_version']}: only {low[0]['label_coverage']:.1%} of scored leads are labelled"
        )
    return Finding(True, f"{rows[0]['n']:,} scored leads, all labelled" if rows else "no scored lead matured")


def ranks_well_enough(installation: Installation, period: Period) -> Finding:
    """The live scores' AUC is not clearly below the floor (its whole interval)."""
    floor = installation.settings.performance.minimum_auc
    rows = installation.lakehouse.read("model_performance", periods=[period.key]).to_pylist()
    judged = [row for row in rows if row["metric"] == "auc"]
    bad = [row for row in judged if row["status"] == "ok" and row["high"] < floor]
    told = "; ".join(
        f"v{r['model_version']}: AUC {r['value']:.3f} [{r['low']:.3f}, {r['high']:.3f}], n = {r['n']:,}"
        if r["status"] == "ok"
        else f"v{r['model_version']}: insufficient data ({r['reason']})"
        for r in (bad or judged)
    )
    return Finding(not bad, f"{told or 'no scored lead matured'} (floor {floor:.2f})")
