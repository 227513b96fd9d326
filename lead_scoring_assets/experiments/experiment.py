"""What an experiment is: everything that is settled before it starts, so that nothing can be chosen after its outcome."""

from dataclasses import dataclass

from lead_scoring_assets.errors import ExperimentError
from lead_scoring_assets.experiments.always_valid import strength_for
from lead_scoring_assets.experiments.assignment import treatment_share
from lead_scoring_assets.lots import LOTS
from lead_scoring_assets.rollout.traffic import Control, Traffic, Unit


@dataclass(frozen=True)
class Experiment:
    """A treatment (a model version) against the champion, or against working leads without a score.

    `share_bp`: of the units, in basis points, that get the treatment; `exploration_bp`: that are drawn 1 to 1 whatever the share.
    `control_version`: the champion when it was planned; None for `process`. `planned_units`: of both arms together, from
    `base_rate` and `minimum_lift` (relative). `minimum_units`: in each arm. A unit is counted at the age of `age_days`, and
    `base_rate` is of conversions that are known by then.
    """

    experiment_id: str
    salt: str
    unit: Unit
    control: Control
    control_version: int | None
    treatment_version: int
    share_bp: int
    exploration_bp: int
    base_rate: float
    minimum_lift: float
    significance: float
    power: float
    planned_units: int
    minimum_units: int
    minimum_days: int
    age_days: int

    def __post_init__(self) -> None:
        if not 0 < self.share_bp < LOTS:
            raise ExperimentError(
                f"share: expected 1 to {LOTS - 1:,} basis points (an arm without units compares nothing), found {self.share_bp}"
            )
        if not 0 <= self.exploration_bp <= LOTS:
            raise ExperimentError(f"exploration: expected 0 to {LOTS:,} basis points, found {self.exploration_bp}")
        if (self.control == "champion") != (self.control_version is not None):
            raise ExperimentError("control: expected the champion with its version, or the process without one")
        if self.control_version == self.treatment_version:
            raise ExperimentError(
                f"v{self.treatment_version} is the champion: expected a treatment that differs from the control"
            )

    @property
    def traffic(self) -> Traffic:
        """What the API does while it runs."""
        return Traffic(
            "experiment",
            self.share_bp,
            salt=self.salt,
            experiment_id=self.experiment_id,
            unit=self.unit,
            control=self.control,
            exploration_bp=self.exploration_bp,
        )

    @property
    def treatment_share(self) -> float:
        """The probability with which a unit gets the treatment, exploration included."""
        return treatment_share(self.traffic)

    @property
    def strength(self) -> float:
        """Of the mixture behind the always-valid interval: the best after the conversions that the plan expects."""
        return strength_for(self.planned_conversions, self.significance)

    @property
    def planned_conversions(self) -> float:
        """Of both arms together, where the treatment has the smallest lift that is looked for."""
        return self.planned_units * self.base_rate * (1 + self.minimum_lift * self.treatment_share)
