"""From the tables to what a rollout is judged by, as of now. Nothing is decided here; a table that is not there is empty."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import nan
from typing import Any

import numpy as np
import pyarrow as pa

from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.evaluation.metrics import Floats
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.labels.maturity import labels_known_at
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.monitoring.drift.watching.cohorts import load_watched
from lead_scoring_assets.prediction_log.tables import PREDICTIONS, SCHEMAS, SHADOWS
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.rollout.evidence import Evidence, Live
from lead_scoring_assets.rollout.guards import Answers, Stratum, p95_of
from lead_scoring_assets.rollout.shadow import Analysis, Shadowed, analyse_shadow
from lead_scoring_assets.rollout.states import Rollout

LABELS = "ground_truth_labels"
_NO_LABELS = pa.schema(
    [("lead_id", pa.string()), ("label", pa.int8()), ("label_known_at", pa.timestamp("us", tz="UTC"))]
)
_MS = 1_000.0
# A model that could not answer is told by the plain rule that answered in its place.
_IS_ERROR = "(status >= 500 OR source = 'fallback')"


def as_they_lie(lakehouse: Lakehouse, *tables: str) -> str:
    """The versions of those of `tables` that exist: another name whenever anything has come."""
    return "-".join(f"{name}-{lakehouse.version(name)}" for name in tables if lakehouse.exists(name))


def gather(installation: Installation, rollout: Rollout, live: Deployment, now: datetime) -> Evidence:
    """What is known of `rollout` now; `live` is what is in production."""
    deployments = Deployments(installation.lakehouse)
    reached = Live(live.version, live.effective_at, live.reason)
    is_rejected = rollout.version in deployments.lifecycle().rejected
    if not rollout.step:
        shadowed = shadowed_of(installation, rollout.version, rollout.since, now)
        found = analysis_of(installation, shadowed)
        return Evidence(
            reached,
            found.shadow_answers,
            found.champion_answers,
            shadow_leads=len(shadowed.champion),
            shadow_guards=tuple(guard for guard in found.guards if guard.name not in ("errors", "latency")),
            is_rejected=is_rejected,
        )
    served = _scan(installation, PREDICTIONS)
    as_of = labels_as_of(installation, now)
    candidate, control = _answers(served, rollout)
    strata, coverage = _strata(installation, served, rollout, as_of) if as_of else ((), nan)
    return Evidence(
        reached,
        candidate,
        control,
        matured=strata,
        labels_as_of=as_of,
        label_coverage=coverage,
        is_rejected=is_rejected,
    )


def shadowed_of(installation: Installation, version: int, since: datetime, now: datetime) -> Shadowed:
    """What both models said of each lead while `version` was the shadow, with the labels as known at `now`."""
    rows, as_of = _scan(installation, SHADOWS), labels_as_of(installation, now)
    window = timedelta(days=installation.settings.labels.conversion_window_days)
    chosen = [version, since]
    outcomes = query(
        "SELECT outcome, count(*) AS n FROM shadows WHERE shadow_version = $1 AND shadows.at >= $2 GROUP BY outcome",
        {"shadows": rows},
        chosen,
    ).to_pylist()
    # Of each lead its first request: one that is scored every day is still one lead. A lead whose outcome was known before
    # it was scored says nothing about a model.
    leads = query(
        f"""
        WITH first AS (
            SELECT * FROM shadows WHERE shadow_version = $1 AND shadows.at >= $2 AND outcome = 'scored'
            QUALIFY row_number() OVER (PARTITION BY lead_id ORDER BY shadows.at, request_id) = 1
        )
        SELECT champion_score, shadow_score, first.at <= $4 AS has_matured,
               CASE WHEN first.at <= $4 AND label_known_at > first.at THEN label END AS label
        FROM first LEFT JOIN {labels_known_at("labels", "$3")} l USING (lead_id) ORDER BY lead_id
        """,  # noqa: S608  # only our own names are pasted in
        {"shadows": rows, "labels": _labels(installation)},
        [*chosen, as_of, as_of - window if as_of else None],
    )
    timed = query(
        "SELECT champion_latency_us, shadow_latency_us FROM shadows "
        "WHERE shadow_version = $1 AND shadows.at >= $2 AND shadow_latency_us IS NOT NULL",
        {"shadows": rows},
        chosen,
    )
    answered = query(
        "SELECT count(*) AS n FROM served WHERE shadow_version = $1 AND served.at >= $2",
        {"served": _scan(installation, PREDICTIONS)},
        chosen,
    )
    return Shadowed(
        requests=answered["n"][0].as_py(),
        outcomes={row["outcome"]: row["n"] for row in outcomes},
        champion=_floats(leads, "champion_score"),
        shadow=_floats(leads, "shadow_score"),
        labels=_floats(leads, "label"),
        matured=int(np.nansum(_floats(leads, "has_matured"))),
        champion_ms=_floats(timed, "champion_latency_us") / _MS,
        shadow_ms=_floats(timed, "shadow_latency_us") / _MS,
        offline=_scores_on_holdout(installation, version),
    )


def analysis_of(installation: Installation, shadowed: Shadowed) -> Analysis:
    """`analyse_shadow` by the installation's own limits."""
    settings = installation.settings
    return analyse_shadow(
        shadowed,
        settings.rollout,
        settings.performance,
        settings.evaluation.bootstrap_samples,
        settings.evaluation.capacity_share,
    )


def labels_as_of(installation: Installation, now: datetime) -> datetime | None:
    """Until when labels are known: the end of the newest period of labels, `now` at the latest; None before the first."""
    if not installation.lakehouse.exists(LABELS):
        return None
    newest = query("SELECT max(period) AS period FROM labels", {"labels": installation.lakehouse.scan(LABELS)})
    key = newest["period"][0].as_py()
    return None if key is None else min(now, installation.settings.calendar.period(key).end)


def _answers(served: Any, rollout: Rollout) -> tuple[Answers, Answers]:
    """Since the candidate got its share: its answers and the champion's.

    Once it is the champion itself, every answer is its own, and it is as fast or slow beside what the champion was during
    the canary.
    """
    if rollout.state == "watching":
        # A server takes a moment to follow: what the former champion still answered is not the candidate's.
        is_own = "served.at >= $2 AND (model_version = $3 OR source = 'fallback')"
        chosen = f"({is_own}) OR (served.at < $2 AND rollout_id = $1 AND arm = 'champion')"
    else:
        is_own = "arm = 'challenger'"
        chosen = f"({is_own} OR arm = 'champion') AND rollout_id = $1 AND served.at >= $2 AND $3 > 0"
    rows = query(
        f"SELECT {is_own} AS is_own, {_IS_ERROR} AS is_error, latency_us FROM served "  # noqa: S608  # our own names
        f"WHERE {chosen}",
        {"served": served},
        [rollout.rollout_id, rollout.since, rollout.version],
    )
    is_own_row, is_error, ms = (_floats(rows, name) for name in ("is_own", "is_error", "latency_us"))
    arms = (is_own_row == wanted for wanted in (1.0, 0.0))
    candidate, control = (Answers(int(arm.sum()), int(is_error[arm].sum()), p95_of(ms[arm] / _MS)) for arm in arms)
    return candidate, control


def _strata(
    installation: Installation, served: Any, rollout: Rollout, as_of: datetime
) -> tuple[tuple[Stratum, ...], float]:
    """Matured leads and conversions of both arms, by the share at which a lead was answered first, which decides its arm;
    and the share of the matured leads whose label is known."""
    window = timedelta(days=installation.settings.labels.conversion_window_days)
    rows = query(
        f"""
        WITH first AS (
            SELECT lead_id, served.at AS at, share_bp, arm = 'challenger' AS is_candidate FROM served
            WHERE rollout_id = $1 AND arm IN ('champion', 'challenger')
            QUALIFY row_number() OVER (PARTITION BY lead_id ORDER BY served.at, request_id) = 1
        )
        SELECT count(*) AS leads,
               count(label) FILTER (is_candidate) AS n, count(label) FILTER (NOT is_candidate) AS n_control,
               coalesce(sum(label) FILTER (is_candidate), 0) AS converted,
               coalesce(sum(label) FILTER (NOT is_candidate), 0) AS converted_control
        FROM first LEFT JOIN {labels_known_at("labels", "$2")} l USING (lead_id)
        WHERE first.at <= $3 AND (label IS NULL OR label_known_at > first.at)
        GROUP BY share_bp ORDER BY share_bp
        """,  # noqa: S608  # only our own names are pasted in
        {"served": served, "labels": _labels(installation)},
        [rollout.rollout_id, as_of, as_of - window],
    ).to_pylist()
    names: Sequence[str] = ("converted", "n", "converted_control", "n_control")
    strata = tuple(Stratum(*(int(row[name]) for name in names)) for row in rows)
    leads, labelled = sum(row["leads"] for row in rows), sum(row["n"] + row["n_control"] for row in rows)
    return strata, labelled / leads if leads else nan


def _scores_on_holdout(installation: Installation, version: int) -> Floats:
    """The version's scores of the leads that it was judged on; none where they, or it, are gone."""
    steps = Deployments(installation.lakehouse).steps()
    known = next((step for step in reversed(steps) if step.version == version), None)
    try:
        return load_watched(installation, known).holdout.outcomes.scores if known else np.empty(0)
    except LakehouseError:
        return np.empty(0)


def _scan(installation: Installation, table: str) -> Any:
    lakehouse = installation.lakehouse
    return lakehouse.scan(table) if lakehouse.exists(table) else SCHEMAS[table].empty_table()


def _labels(installation: Installation) -> Any:
    lakehouse = installation.lakehouse
    return lakehouse.scan(LABELS) if lakehouse.exists(LABELS) else _NO_LABELS.empty_table()


def _floats(table: pa.Table, column: str) -> Floats:
    """The column as numbers; NULL is NaN."""
    found: Floats = table[column].to_pandas().to_numpy(dtype=np.float64, na_value=np.nan)
    return found
