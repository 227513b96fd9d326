"""How long something takes when not everybody has been watched to its end: the median of Kaplan and Meier."""

import numpy as np

from lead_scoring_assets.evaluation.means import Z
from lead_scoring_assets.evaluation.metrics import Floats, Metric

_HALF = 0.5 + 1e-12  # a product of shares such as 3/4 · 2/3 is not exactly a half


def survival(times: Floats, happened: Floats) -> tuple[Floats, Floats, Floats]:
    """Kaplan and Meier's estimate (1958) at each time at which something happened: (moments, survival, sum of Greenwood).

    S(t) = Π (1 - d/Y) over the moments up to t, with d events among the Y that are still waited for; whoever is watched
    no longer than a moment is waited for at that moment. Greenwood's sum (1926) is Σ d / (Y (Y - d)), infinite once
    nobody is left.

    Args:
        times: how long each was watched, shape (n,), until it happened or until nobody looked any more.
        happened: 1 where it happened then, 0 where it had not by then (censored).
    """
    moments, which = np.unique(times, return_inverse=True)
    left, events = np.bincount(which).astype(np.float64), np.bincount(which, weights=happened)
    at_risk = left[::-1].cumsum()[::-1]
    survived = np.cumprod(1 - events / at_risk)
    with np.errstate(divide="ignore"):
        greenwood = np.cumsum(events / (at_risk * (at_risk - events)))
    eventful = events > 0
    return moments[eventful], survived[eventful], greenwood[eventful]


def median_wait(name: str, times: Floats, happened: Floats) -> Metric:
    """The time by which it has happened to half, with the interval of Brookmeyer and Crowley (1982); NaN beyond the data.

    The interval holds the times at which half cannot be refused, on the scale log(-log S), which keeps its coverage in
    small samples (Klein and Moeschberger 2003, section 4.5). An end that the data do not reach is infinite.
    """
    n = len(times)
    moments, survived, greenwood = survival(times, happened)
    if not len(moments) or survived[-1] > _HALF:
        return Metric(name, np.nan, np.nan, np.nan, n)
    inside = (survived > 0) & (survived < 1)
    logs = np.log(survived[inside])
    width = np.exp(Z * np.sqrt(greenwood[inside]) / np.abs(logs))
    low, high = np.exp(logs * width), np.exp(logs / width)
    return Metric(
        name,
        _first(moments, survived),
        # At the last moment of all nobody is left, and half is passed for certain.
        min(_first(moments[inside], low), float(moments[-1])),
        _first(moments[inside], high),
        n,
    )


def _first(moments: Floats, curve: Floats) -> float:
    """The first moment at which the curve is down to a half."""
    below = curve <= _HALF
    return float(moments[np.argmax(below)]) if below.any() else np.inf
