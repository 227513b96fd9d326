"""How models are searched for, trained, judged and let through."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lead_scoring_assets.settings.values import Algorithm, Amount, Count, Section, Seed, Share

EXPANDING_MONTHS = 120


class Tuning(Section):
    """How many recipes are tried by cross-validation over time, and for how long at most."""

    trials: Count = 50
    budget_seconds: Count = 900
    folds: int = Field(5, ge=2, le=20, strict=True)


class Training(Section):
    """How much data a model needs, and how it is trained."""

    window_months: Count | None = 6  # None: everything that has matured, up to EXPANDING_MONTHS
    minimum_rows: Count = 10_000
    minimum_positives: Count = 100
    minimum_holdout_rows: Count = 500
    minimum_holdout_positives: Count = 20
    algorithms: tuple[Algorithm, ...] = Field(("xgboost", "lightgbm", "logistic"), min_length=1)
    rounds: Count = 120
    parameters: Mapping[str, float | int | str] = {}  # XGBoost's: the first recipe that is tried
    class_weight: Literal["none", "balanced"] = "none"
    tuning: Tuning = Tuning()
    seed: Seed = 42

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.algorithms)) < len(self.algorithms):
            raise ValueError(f"algorithms must be distinct, found {list(self.algorithms)}")
        return self


class FairnessAttribute(Section):
    """A lead column by whose groups fairness is told. `bands`: borders of the groups of a number; none: its quartiles."""

    bands: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if list(self.bands) != sorted(set(self.bands)):
            raise ValueError(f"bands must rise, found {list(self.bands)}")
        return self


class Evaluation(Section):
    """How models are judged: on which shares of the best leads, at which capacity, in which segments, how fairly."""

    bootstrap_samples: int = Field(1_000, ge=100, le=20_000, strict=True)
    top_shares: tuple[Annotated[float, Field(gt=0, lt=1, strict=True)], ...] = (0.05, 0.1, 0.2)
    capacity_share: Annotated[float, Field(gt=0, le=1, strict=True)] = 0.2  # of the leads, how many are worked
    operating_threshold: Share | None = Field(None, gt=0)  # or those are worked whose probability is at least this
    value_per_conversion: Amount = 1.0  # in `currency`, where outcomes hold no deal value
    training_cost: Annotated[float, Field(ge=0, strict=True)] = 1.0  # in `currency`: machines, and who looks at it
    segments: tuple[str, ...] = ()  # columns of the registry
    fairness: Mapping[str, FairnessAttribute] = {}  # besides columns with role sensitive; may be features as well
    group_thresholds: bool = Field(False, strict=True)  # tell what a threshold for each group would change
    minimum_group_rows: Count = 100
    maximum_fairness_gap: Share = 0.10
    minimum_fairness_ratio: Share = 0.80


class Gate(Section):
    """What a candidate must reach, how it is compared with the champion and the best so far, and who has the last word."""

    mode: Literal["improve", "refresh"] = "improve"
    minimum_auc: Share = 0.75
    minimum_precision_at_10_percent: Share = 0.5
    maximum_brier: Share = 0.25
    improvement: Share = 0.02  # improve: at least so much more AUC, and its interval above zero
    refresh_margin: Share = 0.01  # refresh: the interval of the difference not further below zero than this
    approval: Literal["automatic", "manual", "rollout"] = "automatic"
    traceable: Literal["required", "recorded"] = "required"  # that a commit holds exactly the code that trained it


class Scoring(Section):
    """The lowest probability of each bucket."""

    buckets: Mapping[str, Share] = {"Hot": 0.8, "Warm": 0.5, "Cool": 0.3}

    @model_validator(mode="after")
    def _falling(self) -> Self:
        limits = list(self.buckets.values())
        if not limits or limits != sorted(set(limits), reverse=True) or not all(0 < limit < 1 for limit in limits):
            raise ValueError(f"buckets need falling limits between 0 and 1, highest first, found {dict(self.buckets)}")
        return self
