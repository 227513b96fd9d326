"""Judgements on drift: every feature looked at, and whether people should look."""

from typing import Any

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.monitoring.drift.lasting import SILENT, is_broken, loud_since
from lead_scoring_assets.periods import Period
from lead_scoring_assets.promotion.deployments import Deployments


def every_feature_judged(installation: Installation, period: Period) -> Finding:
    """With a champion live, there is one drift row for each feature of the registry."""
    found = installation.lakehouse.read("feature_drift", periods=[period.key], columns=["feature"])[
        "feature"
    ].to_pylist()
    champion = Deployments(installation.lakehouse).champion_at(period.start)
    expected = sorted(installation.settings.registry.features) if champion else []
    return Finding(
        sorted(found) == expected,
        f"{len(found)} features have a verdict, or a reason for none; {len(expected)} expected",
    )


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
    """No feature has moved away from what the champion was trained on, and that can still be compared with."""
    rows = _rows(installation, "feature_drift", period)
    if not rows:
        return Finding(True, "no champion was live: there is nothing to compare with", {"drifted": 0, "not_judged": 0})
    drifted = sorted((row for row in rows if row["status"] == "drift"), key=lambda row: -row["psi_debiased"])
    silent = [row for row in rows if row["status"] in SILENT]
    since = loud_since(installation, "feature_drift", period, ["feature"], ["drift"]) if drifted else {}
    told = ", ".join(
        f"{row['feature']} (PSI {row['psi_debiased']:.2f}, n = {row['n_current']:,}"
        + (f", still since {since[row['feature'],]})" if (row["feature"],) in since else ")")
        for row in drifted
    )
    judged = len(rows) - len(silent)
    sentence = f"{len(drifted)} of {judged} judged features drifted" + (f": {told}" if told else "")
    if silent:
        sentence = f"{sentence}; " if judged else "this says nothing about drift: "
        sentence += f"{len(silent)} of {len(rows)} features could not be judged ({silent[0]['reason']})"
    is_calm = not drifted and not is_broken(silent, len(rows))
    return Finding(is_calm, sentence, {"drifted": len(drifted), "not_judged": len(silent)})


def _rows(installation: Installation, table: str, period: Period) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = installation.lakehouse.read(table, periods=[period.key]).to_pylist()
    return rows
