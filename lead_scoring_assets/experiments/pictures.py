"""The picture of an experiment: its always-valid interval as it narrowed, day by day."""

import numpy as np

from lead_scoring_assets.experiments.reading import ByDay
from lead_scoring_assets.plots import curve_plot

_TOP = 3.0


def interval_plot(by_day: ByDay) -> str:
    """How many times as often the treatment converts, with its interval; 1 is no effect. Nothing above 3 is shown."""
    seen, low, high = (np.minimum(values, _TOP) for values in (by_day.ratio, by_day.low, by_day.high))
    seen = np.where(np.isfinite(by_day.ratio), seen, np.nan)
    one = np.ones(len(seen))
    curves = {"treatment to control": (seen, low, high), "no effect": (one, one, one)}
    return curve_plot(curves, "times as often, valid at every look", "days since the start")
