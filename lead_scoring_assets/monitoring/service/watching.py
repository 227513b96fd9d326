"""Watching the guardrails: gather facts, ask for the verdict, carry it out, keep it. Nothing is decided here."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.errors import PromotionError
from lead_scoring_assets.files import one_at_a_time
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.monitoring.service.guardrails import Cohort, Facts, Verdict, decide_guardrails
from lead_scoring_assets.monitoring.service.health import latencies
from lead_scoring_assets.monitoring.service.requests import RequestLog
from lead_scoring_assets.prediction_log.segments import LogSource
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.promotion.transitions import roll_back

TABLE = "guardrail_evaluations"
ACTOR = "guardrail"
Action = Literal["none", "rolled_back", "refused"]
SCHEMA = pa.schema(
    [("evaluation", pa.int64()), ("evaluated_at", pa.timestamp("us", tz="UTC")), ("status", pa.string())]
    + [("model_version", pa.int64()), ("requests", pa.int64()), ("errors", pa.int64())]
    + [(name, pa.string()) for name in ("guardrails", "action", "reason", "reach")]
)
_DAY = timedelta(days=1)
# So long may a worker go on with the version before; what it says without a model is not held against the present one.
_FOLLOWED = timedelta(seconds=2)
_INSTANT = timedelta(microseconds=1)
# What says the same as before is stored again after so long, and not each time that somebody looks.
_REPEATED = timedelta(minutes=15)


@dataclass(frozen=True)
class Watched:
    """What one look came to. `reason`: of the verdict, and of what was done. `is_stored`: it is a row of the table."""

    verdict: Verdict
    action: Action
    reason: str
    is_stored: bool


def watch(installation: Installation, source: LogSource) -> Watched | str:
    """Judge the live version and roll it back where the verdict asks for it; why there is nothing to judge, in words.

    One process at a time, and only from the version that was judged: one that is gone is not rolled back again.
    """
    with one_at_a_time(installation.home.lock("guardrails")):
        live = Deployments(installation.lakehouse).newest()
        if live is None:
            return "no version is live"
        log = RequestLog(installation, source)
        if log.is_empty:
            return f"v{live.version} is live, and no API has answered anybody yet"
        facts = gather(installation, log, live)
        verdict = decide_guardrails(facts, installation.settings.guardrails)
        action, reason = _carry_out(installation, verdict)
        is_stored = _store(installation, verdict, facts, action, reason, log.reach)
        return Watched(verdict, action, reason, is_stored)


def gather(installation: Installation, log: RequestLog, live: Deployment) -> Facts:
    """What is known of the live version. What was refused (4xx) is not its doing, and neither are other arms' answers."""
    now, limits = installation.clock.now(), installation.settings.guardrails
    since = max(now - timedelta(minutes=limits.window_minutes), live.effective_at - _INSTANT)
    own = query(
        """
        SELECT latency_ms, is_error FROM requests
        WHERE NOT is_refused AND coalesce(arm, 'champion') = 'champion'
              -- Where the clock stands still, what was logged before is left out by its place.
              AND (model_version = $1 OR (model_version IS NULL AND ("at" = $2 OR "at" >= $3)))
        """,
        {"requests": log.requests_between(since, now, _judged_before(installation))},
        [live.version, live.effective_at, live.effective_at + _FOLLOWED],
    )
    times = latencies(own["latency_ms"].to_numpy())
    return Facts(
        live.version,
        own.num_rows,
        pc.sum(own["is_error"]).as_py() or 0,
        times["p95_ms"],
        times["p99_ms"],
        _of_a_day(log, now),
        _newest_cohort(installation, live),
    )


def newest_evaluation(installation: Installation) -> dict[str, Any] | None:
    """The last row that was stored, its `guardrails` as a list."""
    if not installation.lakehouse.exists(TABLE):
        return None
    rows = query(
        "SELECT * FROM evaluations ORDER BY evaluation DESC LIMIT 1",
        {"evaluations": installation.lakehouse.scan(TABLE)},
    ).to_pylist()
    return next((row | {"guardrails": json.loads(row["guardrails"])} for row in rows), None)


def _judged_before(installation: Installation) -> dict[str, int]:
    """How long the log was when a version was last taken back by it."""
    if not installation.lakehouse.exists(TABLE):
        return {}
    rows = query(
        "SELECT reach FROM evaluations WHERE action = 'rolled_back' ORDER BY evaluation DESC LIMIT 1",
        {"evaluations": installation.lakehouse.scan(TABLE)},
    ).to_pylist()
    return next((dict(json.loads(row["reach"])) for row in rows), {})


def _of_a_day(log: RequestLog, now: datetime) -> int | None:
    first = log.first_answer()
    return log.leads_scored_between(now - _DAY, now) if first is not None and first <= now - _DAY else None


def _newest_cohort(installation: Installation, live: Deployment) -> Cohort | None:
    """The newest cohort that the version scored and that was found mature since it went live.

    Since then, because a floor that no version keeps would otherwise take back one after the other at once.
    """
    lakehouse = installation.lakehouse
    if not lakehouse.exists("model_performance"):
        return None
    # Whatever its status: a cohort in which hardly anybody converted has too few conversions for other figures.
    found = query(
        """
        SELECT model_version, n, positives FROM performance
        WHERE metric = 'conversion_rate' AND n > 0 AND model_version = $1 AND as_of > $2
        ORDER BY period DESC LIMIT 1
        """,
        {"performance": lakehouse.scan("model_performance")},
        [live.version, live.effective_at],
    ).to_pylist()
    return next((Cohort(row["model_version"], row["n"], row["positives"]) for row in found), None)


def _carry_out(installation: Installation, verdict: Verdict) -> tuple[Action, str]:
    if not verdict.asks_for_rollback:
        return "none", verdict.reason
    try:
        back = roll_back(installation, ACTOR, verdict.reason, only_from=verdict.live_version)
    except PromotionError as problem:
        return "refused", f"{verdict.reason}. {problem}"
    return "rolled_back", f"{verdict.reason}: v{back.version} is live in place of v{verdict.live_version}"


def _store(
    installation: Installation, verdict: Verdict, facts: Facts, action: Action, reason: str, reach: Mapping[str, int]
) -> bool:
    now, last = installation.clock.now(), newest_evaluation(installation)
    told = _told(verdict, now, last)
    if last is not None and not _is_news(told, verdict, action, now, last):
        return False
    row = {
        "evaluation": last["evaluation"] + 1 if last else 1,
        "evaluated_at": now,
        "status": verdict.status,
        "model_version": verdict.live_version,
        "requests": facts.requests,
        "errors": facts.errors,
        "guardrails": json.dumps(told),
        "action": action,
        "reason": reason,
        "reach": json.dumps(dict(reach)) if action == "rolled_back" else None,
    }
    installation.lakehouse.append(TABLE, pa.Table.from_pylist([row], schema=SCHEMA))
    return True


def _told(verdict: Verdict, now: datetime, last: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Every guardrail, and since when it has stood as it does for this version: an alert is one for all of that time."""
    before = last["guardrails"] if last is not None and last["model_version"] == verdict.live_version else []
    since = {(each["name"], each["state"]): each["since"] for each in before}
    return [
        asdict(each)
        | {"severity": each.severity, "remedy": each.remedy}
        | {"since": since.get((each.name, each.state), now.isoformat())}
        for each in verdict.guardrails
    ]


def _is_news(
    told: list[dict[str, Any]], verdict: Verdict, action: Action, now: datetime, last: Mapping[str, Any]
) -> bool:
    said = [(each["name"], each["state"]) for each in last["guardrails"]]
    is_same = said == [(each["name"], each["state"]) for each in told]
    is_same = is_same and (last["model_version"], last["action"]) == (verdict.live_version, action)
    return not is_same or now - last["evaluated_at"] >= _REPEATED
