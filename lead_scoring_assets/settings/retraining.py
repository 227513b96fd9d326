"""When to train again, and what holds it back."""

from typing import Literal, Self, get_args

from pydantic import model_validator

from lead_scoring_assets.settings.values import Amount, Count, Days, Section

RetrainingCause = Literal["drift", "concept_drift", "prediction_drift", "performance", "label_volume", "calendar"]


class Retraining(Section):
    """Which causes ask for a training, and what holds one back: cooldown, and back-off after rejected candidates."""

    causes: tuple[RetrainingCause, ...] = get_args(RetrainingCause)
    drift_windows: Count = 2  # so many periods in a row
    drift_growth: Amount = 0.25  # since a candidate was rejected, as a share of what it was then
    new_labels: Count = 5_000
    calendar_months: Count = 1
    calendar_early_days: Days = 90  # after the first champion went live; 0: calendar_months from the start
    calendar_early_every_days: Count = 7
    cooldown_days: Days = 7
    backoff_days: Days = 14  # after one rejected candidate; twice as long after each further one in a row
    backoff_days_at_most: Days = 56
    urgent_causes: tuple[RetrainingCause, ...] = ()  # do not wait for the back-off
    sensor_interval_seconds: Count = 30

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.causes)) < len(self.causes):
            raise ValueError(f"causes must be distinct, found {list(self.causes)}")
        if strangers := [cause for cause in self.urgent_causes if cause not in self.causes]:
            raise ValueError(f"urgent_causes names {strangers}, which causes does not hold")
        if self.backoff_days_at_most < self.backoff_days:
            raise ValueError(
                f"backoff_days_at_most {self.backoff_days_at_most} must not be below backoff_days {self.backoff_days}"
            )
        return self
