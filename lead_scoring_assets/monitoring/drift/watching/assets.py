"""Dagster shell of watching: the tables of scores, promises, outcomes, policies and arrivals."""

from math import nan

import dagster as dg
import pyarrow as pa

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.monitoring.drift.watching.measuring import (
    HEALTH_SCHEMA,
    IMPORTANCE_SCHEMA,
    OUTCOMES_SCHEMA,
    POLICIES_SCHEMA,
    SCORES_SCHEMA,
    Row,
    Watch,
    health_of,
)
from lead_scoring_assets.monitoring.partitions import MONITORING
from lead_scoring_assets.partitions import HEALTH_HISTORY, MATURING, ONE_RUN, PERIODS, VOLUME_HISTORY, periods_of
from lead_scoring_assets.plots import bar_plot, interval_plot

_DESCRIPTIONS = {
    "prediction_drift": "Whether the live model's scores are spread as on its holdout: PSI, JS, KL, KS, mean, ties.",
    "calibration_drift": "Whether the champion keeps its promise on the newest matured leads: level and slope, with intervals.",
    "concept_drift": "Whether outcomes follow from what is known of a lead as on the champion's holdout: rate, scores, features.",
    "importance_drift": "Whether the champion scores for the same reasons as on its holdout: the share of importance that moved.",
    "drift_policies": "What each policy of thresholds would say of features and scores: the documents' and the calibrated alarm.",
}


@dg.multi_asset(
    name="watching",
    partitions_def=PERIODS,
    backfill_policy=ONE_RUN,
    outs={
        table: dg.AssetOut(
            description=description,
            group_name=MONITORING["group_name"],
            owners=MONITORING["owners"],
            kinds={"scipy", "deltalake"},
        )
        for table, description in _DESCRIPTIONS.items()
    },
    deps=[
        "lead_scores",
        "feature_drift",
        dg.AssetDep("lead_features", partition_mapping=MATURING),
        dg.AssetDep("ground_truth_labels", partition_mapping=MATURING),
    ],
)
def watching(
    context: dg.AssetExecutionContext, installation: dg.ResourceParam[Installation]
) -> tuple[pa.Table, pa.Table, pa.Table, pa.Table, pa.Table]:
    """Scores against the champion's holdout, and the newest matured leads against what the champion says of them."""
    rows: dict[str, list[Row]] = {table: [] for table in _DESCRIPTIONS}
    watch = Watch(installation)
    for period in periods_of(context):
        found = watch.watch(period)
        of_each = (found.prediction, found.calibration, found.concept, found.importance, found.policies)
        by_table = dict(zip(_DESCRIPTIONS, of_each, strict=True))
        for table, told in (
            ("prediction_drift", _of_scores(found.prediction)),
            ("calibration_drift", _of_outcomes(found.calibration)),
            ("concept_drift", {**_of_outcomes(found.concept), **_drawn(found.concept)}),
            ("importance_drift", _of_importance(found.importance)),
            ("drift_policies", _of_policies(found.policies)),
        ):
            rows[table] += by_table[table]
            context.add_asset_metadata(told, asset_key=table, partition_key=period.key)
    prediction, calibration, concept, importance, policies = (rows[table] for table in _DESCRIPTIONS)
    return (
        pa.Table.from_pylist(prediction, schema=SCORES_SCHEMA),
        pa.Table.from_pylist(calibration, schema=OUTCOMES_SCHEMA),
        pa.Table.from_pylist(concept, schema=OUTCOMES_SCHEMA),
        pa.Table.from_pylist(importance, schema=IMPORTANCE_SCHEMA),
        pa.Table.from_pylist(policies, schema=POLICIES_SCHEMA),
    )


@dg.asset(
    **MONITORING,
    deps=[
        dg.AssetDep("arrived_files", partition_mapping=HEALTH_HISTORY),
        dg.AssetDep("raw_leads", partition_mapping=VOLUME_HISTORY),
        dg.AssetDep("lead_features", partition_mapping=HEALTH_HISTORY),
    ],
    kinds={"duckdb", "deltalake"},
)
def data_health(context: dg.AssetExecutionContext, installation: dg.ResourceParam[Installation]) -> pa.Table:
    """Whether what arrived is whole, against earlier periods: rejected, sent twice, late, missing values, how many leads."""
    rows: list[Row] = []
    for period in periods_of(context):
        found = health_of(installation, period)
        rows += found
        volume = found[-1]
        rises = {
            f"{row['subject']} {row['measure']}": row["change_pp"] for row in found if row["change_pp"] is not None
        }
        wrong = [row for row in found if row["status"] not in ("ok", "insufficient_data")]
        context.add_asset_metadata(
            {
                "summary": "; ".join(f"{row['subject']}: {row['reason']}" for row in wrong)
                or "nothing out of the usual",
                "leads": volume["value"],
                "leads_expected": _number(volume["expected"]),
                "figures_out_of_the_usual": len(wrong),
                **(
                    {"changes": dg.MetadataValue.md(bar_plot(rises, "change, percentage points"))}
                    if wrong and rises
                    else {}
                ),
            },
            partition_key=period.key,
        )
    return pa.Table.from_pylist(rows, schema=HEALTH_SCHEMA)


def _of_scores(rows: list[Row]) -> dict[str, object]:
    newest = rows[-1]
    figures = ("psi_debiased", "ks_statistic", "mean_shift_percent", "largest_tie_share")
    return {
        "summary": f"{newest['status']}: {newest['reason']}",
        "severity": newest["severity"],
        **{name: _number(newest[name]) for name in figures},
    }


def _of_importance(rows: list[Row]) -> dict[str, object]:
    [row] = rows
    return {
        "summary": f"{row['status']}: {row['reason']}",
        **{name: _number(row[name]) for name in ("distance", "by_chance")},
    }


def _of_outcomes(rows: list[Row]) -> dict[str, object]:
    loud = [row for row in rows if row["status"] in ("drift", "warning")]
    return {
        "summary": "; ".join(f"{row['feature']} {row['status']}: {row['reason']}" for row in loud or rows[:1]),
        "drifted": sum(row["status"] == "drift" for row in rows),
        "leads": rows[0]["n_current"],
        **{f"effect_{row['feature']}": _number(row["effect"]) for row in rows},
    }


def _drawn(rows: list[Row]) -> dict[str, object]:
    effects = {row["feature"]: (row["effect"], row["low"], row["high"]) for row in rows if row["effect"] is not None}
    if not effects:
        return {}
    return {"effects": dg.MetadataValue.md(interval_plot(effects, "how far outcomes moved from scores", "log odds"))}


def _of_policies(rows: list[Row]) -> dict[str, object]:
    return {
        "summary": dg.MetadataValue.md(
            "\n".join(
                f"- {row['policy']}{' (acts)' if row['acts'] else ''}, {row['scope']}: "
                f"{'**alarm**' if row['would_alarm'] else 'no alarm'}, {row['reason']}"
                for row in rows
            )
        ),
        "policies_that_would_alarm": len({row["policy"] for row in rows if row["would_alarm"]}),
    }


def _number(value: float | None) -> float:
    """The UI draws numbers over time only where they are all numbers."""
    return nan if value is None else float(value)
