"""The newest shadow's analysis as a row of the append-only table `shadow_comparison`; made again it is not written again."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from lead_scoring_assets.evaluation.metrics import Floats
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.prediction_log.tables import SHADOWS
from lead_scoring_assets.rollout.gathering import LABELS, analysis_of, as_they_lie, labels_as_of, shadowed_of
from lead_scoring_assets.rollout.records import Rollouts
from lead_scoring_assets.rollout.shadow import Analysis, Shadowed

TABLE = "shadow_comparison"

_MOMENT = pa.timestamp("us", tz="UTC")
_WITH_INTERVAL = ("coverage", "mean_difference", "correlation", "auc_champion", "auc_shadow", "auc_difference")
SCHEMA = pa.schema(
    [("shadow_version", pa.int64()), ("champion_version", pa.int64()), ("since", _MOMENT), ("as_of", _MOMENT)]
    + [("labels_as_of", _MOMENT), ("requests", pa.int64()), ("n", pa.int64())]
    + [(name, pa.int64()) for name in ("scored", "failed", "timeout", "not_finite", "dropped")]
    + [(f"{name}{edge}", pa.float64()) for name in _WITH_INTERVAL for edge in ("", "_low", "_high")]
    + [(name, pa.float64()) for name in ("mean_absolute_difference", "spearman", "kendall", "jaccard_of_best")]
    + [(name, pa.float64()) for name in ("largest_gap", "mean_champion", "mean_shadow")]
    + [(f"latency_{which}_ms_{model}", pa.float64()) for model in ("champion", "shadow") for which in ("mean", "p95")]
    + [("labelled", pa.int64()), ("positives", pa.int64()), ("label_coverage", pa.float64())]
    + [("recommendation", pa.string()), ("reason", pa.string())]
)


@dataclass(frozen=True)
class Compared:
    """The row, and the scores that it was made from."""

    row: dict[str, Any]
    shadowed: Shadowed


def compare_newest_shadow(installation: Installation) -> Compared | None:
    """Compare the shadow of the rollout that runs, else the one that scored last; None before the first."""
    lakehouse = installation.lakehouse
    if not lakehouse.exists(SHADOWS):
        return None
    newest = query(
        "SELECT shadow_version AS version, arg_max(champion_version, shadows.at) AS champion, min(shadows.at) AS since "
        "FROM shadows GROUP BY shadow_version ORDER BY max(shadows.at) DESC, version LIMIT 1",
        {"shadows": lakehouse.scan(SHADOWS)},
    ).to_pylist()
    rollouts = Rollouts(lakehouse)
    running = rollouts.running()
    if running is not None and not running.step:
        version, champion, since = running.version, running.champion_version, running.since
    elif newest:
        version, champion = newest[0]["version"], newest[0]["champion"]
        # One that was in the shadow before is compared by its last time there: in between its fault may have been mended.
        began = [row["since"] for row in rollouts.rows() if row["version"] == version and row["state"] == "shadow"]
        since = max(began, default=newest[0]["since"])
    else:
        return None
    now = installation.clock.now()
    shadowed = shadowed_of(installation, version, since, now)
    row = {
        "shadow_version": version,
        "champion_version": champion,
        "since": since,
        "as_of": now,
        "labels_as_of": labels_as_of(installation, now),
        **figures(shadowed, analysis_of(installation, shadowed)),
    }
    if not _is_known(installation, row):
        lakehouse.append(TABLE, pa.Table.from_pylist([row], schema=SCHEMA))
    return Compared(row, shadowed)


def cause_of_comparison(installation: Installation) -> str | None:
    """What has come that a comparison could look at, by the versions of its tables; None where nothing can come any more.

    Labels go on coming after a shadow has ended, until all of its leads have matured.
    """
    lakehouse, window = installation.lakehouse, timedelta(days=installation.settings.labels.conversion_window_days)
    if not lakehouse.exists(SHADOWS):
        return None
    found = query("SELECT max(shadows.at) AS newest FROM shadows", {"shadows": lakehouse.scan(SHADOWS)})
    newest = found["newest"][0].as_py()
    earlier = lakehouse.read(TABLE).sort_by("as_of").to_pylist() if lakehouse.exists(TABLE) else []
    if newest is None or (earlier and earlier[-1]["labels_as_of"] and earlier[-1]["labels_as_of"] >= newest + window):
        return None
    return as_they_lie(lakehouse, SHADOWS, LABELS)


def figures(shadowed: Shadowed, found: Analysis) -> dict[str, Any]:
    """The analysis as columns of the table."""
    alike, ranks = found.alike, found.ranks
    measured = (
        ("coverage", found.coverage),
        ("mean_difference", alike.mean_difference),
        ("correlation", alike.correlation),
        ("auc_champion", ranks.champion),
        ("auc_shadow", ranks.shadow),
        ("auc_difference", ranks.difference),
    )
    ends = (("", "value"), ("_low", "low"), ("_high", "high"))
    return {
        "requests": max(shadowed.requests, sum(shadowed.outcomes.values())),
        "n": alike.n,
        **{name: shadowed.outcomes.get(name, 0) for name in ("scored", "failed", "timeout", "not_finite", "dropped")},
        **{f"{name}{edge}": getattr(metric, end) for name, metric in measured for edge, end in ends},
        "mean_absolute_difference": alike.mean_absolute_difference,
        "spearman": alike.spearman,
        "kendall": alike.kendall,
        "jaccard_of_best": alike.jaccard_of_best,
        "largest_gap": alike.largest_gap,
        "mean_champion": _mean(shadowed.champion),
        "mean_shadow": _mean(shadowed.shadow),
        "latency_mean_ms_champion": _mean(shadowed.champion_ms),
        "latency_mean_ms_shadow": _mean(shadowed.shadow_ms),
        "latency_p95_ms_champion": found.champion_answers.p95.value,
        "latency_p95_ms_shadow": found.shadow_answers.p95.value,
        "labelled": ranks.n,
        "positives": ranks.positives,
        "label_coverage": ranks.label_coverage,
        "recommendation": found.recommendation,
        "reason": found.reason,
    }


def _is_known(installation: Installation, row: dict[str, Any]) -> bool:
    """Whether the newest analysis of this shadow found the same; when it was looked at is no finding."""
    if not installation.lakehouse.exists(TABLE):
        return False
    earlier = installation.lakehouse.read(TABLE).sort_by("as_of").to_pylist()
    same = [known for known in earlier if known["shadow_version"] == row["shadow_version"]]
    if not same:
        return False
    [made] = pa.Table.from_pylist([row], schema=SCHEMA).to_pylist()
    # By their text, because NaN does not equal itself.
    return repr({**same[-1], "as_of": None}) == repr({**made, "as_of": None})


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float(np.nan)
