"""Are there as many units in each arm as were drawn? If not, something loses or doubles them, and no comparison holds."""

from dataclasses import dataclass
from math import exp

from lead_scoring_assets.experiments.always_valid import log_evidence

SIGNIFICANCE = 0.001
"""The probability of ever blocking a sound experiment, however often it is looked at."""
_STRENGTH = 1_000.0  # tells a small mismatch, such as 52/48, soonest: at some ten thousand units


@dataclass(frozen=True)
class SampleRatio:
    """Realised against planned share of the treatment. `p_value`: chi-square at this look; `always_valid_p_value`: what
    counts, because it holds however often one looks."""

    units: int
    realised: float
    planned: float
    p_value: float
    always_valid_p_value: float

    @property
    def is_mismatch(self) -> bool:
        return self.always_valid_p_value <= SIGNIFICANCE

    @property
    def sentence(self) -> str:
        told = "fit" if not self.is_mismatch else "do NOT fit"
        return (
            f"{self.units:,} units {told} the plan: {self.realised:.2%} got the treatment, {self.planned:.2%} were drawn for "
            f"it (chi-square p {self.p_value:.2g}, at any number of looks p {self.always_valid_p_value:.2g}; "
            f"blocked from {SIGNIFICANCE:g} down)"
        )


def check_sample_ratio(control: int, treatment: int, planned: float) -> SampleRatio:
    """Chi-square of the realised against the planned share (Fabijan et al. 2019), and its sequential form (Lindon and
    Malek 2022), which alone decides: a chi-square at every look would block every third sound experiment in the end."""
    from scipy.special import chdtrc

    units = control + treatment
    if not units:
        return SampleRatio(0, float("nan"), planned, 1.0, 1.0)
    squared = (treatment - planned * units) ** 2 / (units * planned * (1 - planned))
    evidence = float(log_evidence(treatment, units, planned, _STRENGTH))
    return SampleRatio(units, treatment / units, planned, float(chdtrc(1, squared)), exp(min(0.0, -evidence)))
