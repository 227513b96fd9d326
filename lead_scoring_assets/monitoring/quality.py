"""Judgements on what was monitored: every feature looked at, and whether people should look."""

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.periods import Period
from lead_scoring_assets.promotion.deployments import Deployments


def every_feature_judged(installation: Installation, period: Period) -> Finding:
    """With a champion live, there is one drift row for each feature of the registry."""
    found = installation.lakehouse.read("feature_drift", periods=[period.key], columns=["feature"])[
        "feature"
    ].to_pylist()
    champion = Deployments(installation.lakehouse).champion_at(period.start)
    expected = sorted(installation.settings.registry.features) if champion else []
    return Finding(sorted(found) == expected, f"{len(found)} features judged, {len(expected)} expected")


def no_feature_drifted(installation: Installation, period: Period) -> Finding:
    """No feature has moved away from what the champion was trained on."""
    rows = installation.lakehouse.read("feature_drift", periods=[period.key]).to_pylist()
    drifted = sorted((row for row in rows if row["status"] == "drift"), key=lambda row: -row["psi_debiased"])
    not_judged = sum(row["status"] in ("insufficient_data", "not_computable") for row in rows)
    told = ", ".join(f"{row['feature']} (PSI {row['psi_debiased']:.2f}, n = {row['n_current']:,})" for row in drifted)
    sentence = f"{len(drifted)} of {len(rows)} features drifted" + (f": {told}" if told else "")
    if not_judged:
        sentence += f"; {not_judged} could not be judged"
    return Finding(not drifted, sentence, {"drifted": len(drifted), "not_judged": not_judged})


def report_written(installation: Installation, period: Period) -> Finding:
    """The page of every report that is listed exists and is not empty."""
    rows = installation.lakehouse.read("drift_report", periods=[period.key]).to_pylist()
    missing = [row["file"] for row in rows if not _has_content(installation, row["file"])]
    return Finding(not missing, f"missing or empty: {missing}" if missing else f"{len(rows)} report(s)")


def _has_content(installation: Installation, file: str) -> bool:
    page = installation.home.reports / file
    return page.is_file() and page.stat().st_size > 0


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
