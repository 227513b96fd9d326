"""Judgements on the assessment: the candidate ranks better than chance, and chooses alike among groups."""

import math

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.periods import Period


def ranks_better_than_chance(installation: Installation, period: Period) -> Finding:
    """The candidate's AUC interval lies above 0.5."""
    rows = installation.lakehouse.read("model_evaluation", periods=[period.key]).to_pylist()
    auc = next((row for row in rows if row["metric"] == "auc"), None)
    if auc is None:
        return Finding(True, "insufficient data: no model was trained")
    if math.isnan(auc["value"]):
        return Finding(True, f"insufficient data: the AUC of {auc['n']:,} leads needs two of either outcome")
    sentence = f"AUC {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}], n = {auc['n']:,}"
    return Finding(bool(auc["low"] > 0.5), sentence, {"auc": auc["value"], "auc_low": auc["low"]})


def groups_are_chosen_alike(installation: Installation, period: Period) -> Finding:
    """No watched attribute's groups are clearly further apart than the limits allow: the interval passes them too."""
    rows = installation.lakehouse.read("model_fairness", periods=[period.key]).to_pylist()
    judged = {row["attribute"]: (row["verdict"], row["sentence"]) for row in rows if row["group"] is None}
    apart = [sentence for verdict, sentence in judged.values() if verdict == "gap"]
    not_judged = [name for name, (verdict, _) in judged.items() if verdict == "insufficient_data"]
    told = "; ".join(apart) or f"{len(judged)} attribute(s) watched, none clearly beyond the limits"
    if not_judged:
        told += f"; insufficient data: {', '.join(not_judged)}"
    return Finding(not apart, told, {"apart": len(apart), "not_judged": len(not_judged)})
