"""Judgements on drift: every feature looked at, and whether people should look."""

from typing import Any

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.monitoring.drift.lasting import loud_since
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


def every_row_counted(installation: Installation, period: Period) -> Finding:
    """Each feature that was counted counts every lead of the period once: what is summed later has lost none."""
    if not (counts := _rows(installation, "feature_counts", period)):
        return Finding(True, "nothing was counted: no champion, or no reference")
    n_rows = installation.lakehouse.scan("lead_features", periods=[period.key]).count_rows()
    whole = [row for row in counts if not row["segment"] and row["bin_rows"] is not None]
    wrong = sum(sum(row["bin_rows"]) != n_rows for row in whole)
    sentence = f"{wrong} of {len(whole)} features count other rows than the {n_rows:,} of the period"
    return Finding(not wrong, sentence, {"features": len(whole), "rows": n_rows})


def no_feature_drifted(installation: Installation, period: Period) -> Finding:
    """No feature has moved away from what the champion was trained on."""
    rows = _rows(installation, "feature_drift", period)
    drifted = sorted((row for row in rows if row["status"] == "drift"), key=lambda row: -row["psi_debiased"])
    not_judged = sum(row["status"] in ("insufficient_data", "not_computable") for row in rows)
    since = loud_since(installation, "feature_drift", period, ["feature"], ["drift"]) if drifted else {}
    told = ", ".join(
        f"{row['feature']} (PSI {row['psi_debiased']:.2f}, n = {row['n_current']:,}"
        + (f", still since {since[row['feature'],]})" if (row["feature"],) in since else ")")
        for row in drifted
    )
    sentence = f"{len(drifted)} of {len(rows)} features drifted" + (f": {told}" if told else "")
    if not_judged:
        sentence += f"; {not_judged} could not be judged"
    return Finding(not drifted, sentence, {"drifted": len(drifted), "not_judged": not_judged})


def _rows(installation: Installation, table: str, period: Period) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = installation.lakehouse.read(table, periods=[period.key]).to_pylist()
    return rows
