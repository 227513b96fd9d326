"""Rollouts and evidence for the pure tests, with what a test does not care about filled in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from lead_scoring_assets.evaluation.metrics import Metric
from lead_scoring_assets.rollout.advancing import advance_rollout
from lead_scoring_assets.rollout.evidence import Evidence, Live
from lead_scoring_assets.rollout.guards import Answers, Stratum
from lead_scoring_assets.rollout.states import Rollout, Step
from lead_scoring_assets.settings import RolloutPolicy

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
POLICY = RolloutPolicy()
CHAMPION, CANDIDATE = 7, 8
LIVE = Live(CHAMPION, START - 30 * DAY, "promoted")
GONE_LIVE = "rolled out"


def shadow(**changes: Any) -> Rollout:
    """v8 in the shadow of v7 since the start; omar asked for its training, mona started the rollout."""
    rollout = Rollout("rollout-1-v8", CANDIDATE, CHAMPION, "shadow", 0, 0, START, START, "mona", "omar")
    return replace(rollout, **changes)


def canary(step: int = 1, policy: RolloutPolicy = POLICY, **changes: Any) -> Rollout:
    share = policy.steps_percent[step - 1] * 100
    return replace(shadow(), **{"state": "canary", "step": step, "share_bp": share, **changes})


def watching(**changes: Any) -> Rollout:
    return replace(shadow(), **{"state": "watching", "step": 4, "share_bp": 10_000, **changes})


def answers(n: int = 5_000, errors: int = 0, p95_ms: float = 10.0) -> Answers:
    """With a 95th percentile that is known to a tenth."""
    return Answers(n, errors, Metric("p95_ms", p95_ms, p95_ms * 0.9, p95_ms * 1.1, n))


MATURED = (Stratum(125, 1_000, 125, 1_000),)


def evidence(**changes: Any) -> Evidence:
    """All is well, and there is enough of it."""
    good = {"live": LIVE, "candidate": answers(), "control": answers(), "matured": MATURED, "labels_as_of": START}
    return Evidence(**{**good, "shadow_leads": 2_000, **changes})


def advance(rollout: Rollout, days: float, policy: RolloutPolicy = POLICY, **changes: Any) -> Step:
    """So many days after it got its share."""
    return advance_rollout(rollout, evidence(**changes), policy, rollout.since + days * DAY)


def latencies(draws: np.random.Generator, n: int, median_ms: float = 5.0) -> np.ndarray[Any, np.dtype[np.float64]]:
    """As servers have them: log-normal."""
    return draws.lognormal(np.log(median_ms), 0.5, n)
