"""Facts and rows for the pure tests, with what a test does not care about filled in."""

from datetime import UTC, datetime, timedelta
from typing import Any

from lead_scoring_assets.retraining.causes import Policy
from lead_scoring_assets.retraining.facts import Champion, DriftWindow, Facts, Judgement
from lead_scoring_assets.settings import Performance, Retraining, Training

PERIOD = "2008-09"
NOW = datetime(2008, 10, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NEEDED = Training(minimum_rows=10_000, minimum_positives=100, minimum_holdout_rows=500, minimum_holdout_positives=20)
LIMITS = Performance(minimum_auc=0.60, maximum_relative_auc_drop=0.10)


def policy(performance: Performance = LIMITS, **retraining: Any) -> Policy:
    return Policy(Retraining(**retraining), performance, NEEDED, timedelta(days=30))


def facts(**changes: Any) -> Facts:
    """Champion v3 is live, and nothing is known but that."""
    return Facts(**{"now": NOW, "period": PERIOD, "champion": Champion(3, 0.72), **changes})


def drifted(period: str = PERIOD, psi: float | None = 0.31, version: int = 3, feature: str = "job") -> DriftWindow:
    return DriftWindow(period, version, 2, {feature: psi}, 4_812, "as told")


def calm(period: str = PERIOD, version: int = 3) -> DriftWindow:
    return DriftWindow(period, version, 2, {}, 4_812, "the largest PSI is 0.02 (job, n = 4,812)")


def unjudged(period: str = PERIOD, version: int = 3) -> DriftWindow:
    return DriftWindow(period, version, 0, {}, 12, "12 of 200 rows needed")


def rejected(judged_at: datetime, period: str = "2008-08") -> Judgement:
    return Judgement(period, judged_at, "rejected")


def promoted(judged_at: datetime, period: str = "2008-08") -> Judgement:
    return Judgement(period, judged_at, "promoted")
