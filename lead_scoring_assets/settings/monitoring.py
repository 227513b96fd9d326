"""What is watched, and from where on people should look."""

from typing import Literal, Self

from pydantic import Field, model_validator

from lead_scoring_assets.settings.values import Amount, Count, Day, Section, Share


class Drift(Section):
    """From which strength on a change of the data is told."""

    minimum_rows: Count = 200
    psi_warning: Amount = 0.10
    psi_drift: Amount = 0.25
    false_discovery_rate: Share = Field(0.01, gt=0, lt=1)
    minimum_effect_psi: Amount = 0.02
    window_periods: Count = 1  # so many periods are judged together, the newest last; for periods of few leads
    exact_rows: Count = 20_000_000  # KS and Wasserstein hold and sort a column: windows of more rows are told by bins
    segments: tuple[str, ...] = ()  # category features: drift is told within each of their groups as well

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.psi_warning > self.psi_drift:
            raise ValueError(f"psi_warning {self.psi_warning:g} must not be above psi_drift {self.psi_drift:g}")
        return self


DriftPolicy = Literal["recommended", "doc_000", "doc_001", "doc_003"]


class Watching(Section):
    """Which policy of thresholds acts; and of scores, promises, outcomes and arrivals, from which change on it counts.

    The levels are those of `drift`: `false_discovery_rate` is the chance of an alarm without cause, for each family.
    """

    policy: DriftPolicy = "recommended"
    score_mean_shift: Share = Field(0.10, gt=0)  # of the mean score, as a share of what it was
    score_ks_warning: Share = Field(0.10, gt=0)
    score_ks_drift: Share = Field(0.20, gt=0)
    constant_score_share: Share = Field(0.95, gt=0.5)  # that so many leads have one score is never chance
    promise_gap: Share = Field(0.20, gt=0)  # conversions more or fewer than promised, as a share of the promise
    slope_gap: Share = Field(0.25, gt=0, lt=1)  # of the log odds: 1 is as promised, below 1 too sure
    log_odds_gap: Amount = 0.25  # standard deviation over groups of how far their log odds moved
    importance_gap: Share = Field(0.10, gt=0)  # of what drives scores, the share that moved to other features
    rejected_share: Share = Field(0.01, gt=0)
    share_rise_pp: Amount = 5.0  # of nulls, duplicates, late leads; percentage points over earlier periods
    critical_share: Share = Field(0.10, gt=0)  # a rise counts as critical where the share is above this as well
    history_periods: int = Field(12, ge=4, le=366, strict=True)  # earlier periods that are compared with

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.score_ks_warning > self.score_ks_drift:
            raise ValueError(
                f"score_ks_warning {self.score_ks_warning:g} must not be above score_ks_drift {self.score_ks_drift:g}"
            )
        return self


class Performance(Section):
    """How much matured data a judgement needs, and when the champion has become too weak."""

    minimum_rows: Count = 100
    minimum_positives: Count = 20
    minimum_auc: Share = 0.75
    minimum_recall: Share | None = None  # of the conversions, how many are among the leads worked; None: not judged
    maximum_relative_auc_drop: Share = Field(0.05, gt=0, lt=1)
    maximum_conversion_drop: Share = Field(0.10, gt=0, lt=1)  # against the cohorts that matured in the reference
    reference_days: Count = 180  # how far back matured leads say what is usual: conversions, delays, calibration


class NamedDays(Section):
    """Days on which people behave otherwise, such as a holiday or a fair: first and last day, both included."""

    name: str = Field(min_length=1)
    first: Day
    last: Day

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"last {self.last} must not be before first {self.first}")
        return self


class Business(Section):
    """What business figures are compared with, and how many leads one needs."""

    minimum_leads: Count = 30  # of a bucket; below that a figure is told as insufficient data
    baseline_conversion_rate: Share | None = Field(None, gt=0)  # None: that of the first `baseline_periods`
    baseline_periods: Count = 3
    conversion_goal: Amount = 0.15  # more conversions than the baseline, as a share of it
    trend_periods: int = Field(12, ge=4, le=120, strict=True)
    calendar: tuple[NamedDays, ...] = ()  # told beside the figures of the cohorts that they fall into


class Reports(Section):
    """Which pages of the drift report hold Evidently's part, which costs many seconds of computing and 4 MB each."""

    evidently: Literal["newest", "all", "never"] = "newest"  # newest: the period that closed last when it is made
