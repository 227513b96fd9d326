"""Judgements on drift: every feature looked at, and whether people should look."""

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
