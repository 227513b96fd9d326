"""Rates against one another: a bucket against all leads, and now against the baseline."""

from collections.abc import Sequence
from math import nan

from lead_scoring_assets.evaluation.metrics import Metric, share
from lead_scoring_assets.monitoring.performance.conversion_drop import relative_drop


def lift(converted: float, n: int, converted_all: float, n_all: int) -> Metric:
    """The conversion rate of a bucket divided by that of all leads, the bucket's own among them; NaN when nobody converts.

    With w the bucket's share of the leads and ρ its rate divided by the others', it is 1 / (w + (1 - w) / ρ), which rises
    with ρ. So its interval is that of ρ, the log ratio of two independent rates (Katz and others 1978; Walter 1975), sent
    through this formula: above 1 exactly when the bucket is above the others. Taking bucket and whole for independent
    would be too wide, and the delta method is too sure of itself where few convert.
    """
    n_others, others = n_all - n, converted_all - converted
    if not n or not n_others or not converted_all:
        return Metric("lift", nan, nan, nan, n)
    if converted:
        drop = relative_drop((others, n_others), (converted, n))
        inverse_low, inverse_high = 1 - drop.high, 1 - drop.low
    else:
        drop = relative_drop((converted, n), (others, n_others))
        inverse_low, inverse_high = 1 / (1 - drop.low), 1 / (1 - drop.high)
    w = n / n_all
    low, high = (1 / (w + (1 - w) * inverse) for inverse in (inverse_high, inverse_low))
    value = (converted / n) / (converted_all / n_all)
    # The half conversions move it away from the edge on which the figure itself lies when one side has none.
    return Metric("lift", value, min(low, value), max(high, value), n)


def against_baseline(now: tuple[float, int], before: Sequence[tuple[float, int]] | float) -> Metric:
    """Rate now / baseline - 1, each (conversions, leads); a baseline that was agreed on is a plain rate, and known.

    Of a baseline that was measured both rates are uncertain: the interval of the log ratio, as in `relative_drop`.
    """
    converted, n = now
    if isinstance(before, float):
        rate = share("vs_baseline", converted, n)
        return Metric(rate.name, rate.value / before - 1, rate.low / before - 1, rate.high / before - 1, n)
    drop = relative_drop(now, (sum(c for c, _ in before), sum(m for _, m in before)))
    return Metric("vs_baseline", -drop.value, -drop.high, -drop.low, n)
