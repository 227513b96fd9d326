"""What an experiment is planned with, unless its plan says otherwise."""

from typing import Self

from pydantic import Field, model_validator

from lead_scoring_assets.settings.values import Amount, Count, Days, Section, Share


class ExperimentPolicy(Section):
    """How sure a test has to be, how small a lift is worth finding, and how long one may take."""

    treatment_share: Share = Field(0.5, gt=0, lt=1)
    minimum_lift: Amount = 0.05  # relative: from 12.5 % to 13.125 %
    power: Share = Field(0.8, gt=0, lt=1)
    significance: Share = Field(0.05, gt=0, lt=0.5)
    minimum_units: Count = 1_000  # in each arm, before a treatment can win
    minimum_days: Count = 14  # whole weeks: Mondays are not like Fridays
    maximum_days: Count = 180  # a plan that takes longer cannot work
    age_days: Days | None = None  # at which a lead is counted; None: the conversion window
    minimum_effective_leads: Count = 200  # before another policy's value is told

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.maximum_days < self.minimum_days:
            raise ValueError(f"maximum_days {self.maximum_days} must not be below minimum_days {self.minimum_days}")
        if self.age_days == 0:
            raise ValueError("age_days: expected at least 1 (a lead needs time to convert), found 0")
        return self
