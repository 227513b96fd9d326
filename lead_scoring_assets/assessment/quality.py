"""Judgements on the assessment: the candidate ranks better than chance."""

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.periods import Period


def ranks_better_than_chance(installation: Installation, period: Period) -> Finding:
    """The candidate's AUC interval lies above 0.5."""
    rows = installation.lakehouse.read("model_evaluation", periods=[period.key]).to_pylist()
    auc = next((row for row in rows if row["metric"] == "auc"), None)
    if auc is None:
        return Finding(True, "insufficient data: no model was trained")
    sentence = f"AUC {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}], n = {auc['n']:,}"
    return Finding(bool(auc["low"] > 0.5), sentence, {"auc": auc["value"], "auc_low": auc["low"]})
