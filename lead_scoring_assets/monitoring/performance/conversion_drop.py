"""Whether fewer leads convert than before, on matured cohorts only: young ones always look as if they did."""

from collections.abc import Mapping, Sequence
from math import exp, nan, sqrt
from typing import Any

from lead_scoring_assets.evaluation.means import Z
from lead_scoring_assets.evaluation.metrics import Metric


def relative_drop(now: tuple[float, int], before: tuple[float, int]) -> Metric:
    """1 − rate now / rate before, each (conversions, leads); all NaN where none converted before.

    Interval of the log ratio with half a conversion more on either side (Katz and others 1978; Walter 1975), so that it
    stands when nobody converts any more. Both rates are uncertain: one that took the earlier for known would be too narrow.
    """
    (converted, n), (converted_before, n_before) = now, before
    if not (n and converted_before):
        return Metric("conversion_drop", nan, nan, nan, n)
    counts = [count + 0.5 for count in (converted, n, converted_before, n_before)]
    ratio = counts[0] / counts[1] * counts[3] / counts[2]
    error = sqrt(1 / counts[0] - 1 / counts[1] + 1 / counts[2] - 1 / counts[3])
    # Rounded, because 1 - 0.1125 / 0.125 is a trifle more than 0.10.
    value = round(1 - converted / n * n_before / converted_before, 9)
    return Metric("conversion_drop", value, 1 - ratio * exp(Z * error), 1 - ratio * exp(-Z * error), n)


def pooled(rows: Sequence[Mapping[str, Any]]) -> tuple[float, int]:
    """Conversions and leads of all cohorts in rows of `model_performance`, whichever model scored them."""
    told = [row for row in rows if row["metric"] == "conversion_rate" and row["n"]]
    return float(sum(row["positives"] for row in told)), int(sum(row["n"] for row in told))
