"""What another policy would have brought, from leads whose arm was drawn with a known probability. Nothing is drawn here."""

from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np

from lead_scoring_assets.evaluation.means import Z
from lead_scoring_assets.evaluation.metrics import Floats, Metric

Status = Literal["ok", "insufficient_data", "not_computable"]


@dataclass(frozen=True)
class PolicyValue:
    """Mean reward a lead under the policy: by inverse propensity, self-normalised, and doubly robust (where rewards were
    predicted). `effective_n`: how many leads of its own the policy would have needed to be known as well."""

    status: Status
    reason: str
    n: int
    effective_n: float
    inverse_propensity: Metric
    self_normalised: Metric
    doubly_robust: Metric


@dataclass(frozen=True)
class Logged:
    """What was drawn and what came of it, each of shape (n,).

    `propensity`: probability with which the lead got the arm that it got. `wanted`: probability with which the policy would
    have given it that arm (1 or 0 for a policy that does not draw). `reward`: what came of it.
    """

    propensity: Floats
    wanted: Floats
    reward: Floats


@dataclass(frozen=True)
class Predicted:
    """Rewards predicted by a model that was not fitted on these leads: of the arm that the lead got, and the mean over the
    arms that the policy would give; each of shape (n,)."""

    of_logged: Floats
    of_policy: Floats


def policy_value(logged: Logged, minimum_effective_n: int, predicted: Predicted | None = None) -> PolicyValue:
    """The policy's value three ways, each with a 95 % interval; refused when too few leads say anything about the policy.

    Inverse propensity (Horvitz and Thompson 1952), self-normalised (Hájek 1971; Swaminathan and Joachims 2015; interval by
    linearisation), doubly robust (Robins, Rotnitzky and Zhao 1994; Dudík, Langford and Li 2011), which is right when the
    propensities are, and narrower the better the predictions. Effective n: (Σw)² / Σw² (Kish 1965).
    """
    n = len(logged.reward)
    nothing = Metric("value", np.nan, np.nan, np.nan, n)
    bad = ~(logged.propensity > 0) | (logged.propensity > 1)
    if bad.any():
        reason = f"{int(bad.sum()):,} of {n:,} leads have no propensity in (0, 1]: what was not drawn proves nothing"
        return PolicyValue("not_computable", reason, n, 0.0, nothing, nothing, nothing)
    weight = logged.wanted / logged.propensity
    total, squared = float(weight.sum()), float((weight**2).sum())
    effective = total**2 / squared if squared else 0.0
    if effective < minimum_effective_n:
        reason = (
            f"worth {effective:,.0f} leads of {n:,}, expected at least {minimum_effective_n:,}: explore more, or longer"
        )
        return PolicyValue("insufficient_data", reason, n, effective, nothing, nothing, nothing)
    normalised = total and float((weight * logged.reward).sum()) / total
    # The mean of these is the self-normalised estimate, their spread its error.
    linear = normalised + weight * (logged.reward - normalised) * n / total
    robust = nothing
    if predicted is not None:
        robust = _mean(predicted.of_policy + weight * (logged.reward - predicted.of_logged))
    reason = f"{n:,} leads, worth {effective:,.0f} under this policy"
    return PolicyValue("ok", reason, n, effective, _mean(weight * logged.reward), _mean(linear), robust)


def _mean(values: Floats) -> Metric:
    n = len(values)
    mean, half = float(values.mean()), Z * float(values.std(ddof=1)) / sqrt(n)
    return Metric("value", mean, mean - half, mean + half, n)
