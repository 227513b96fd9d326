"""The drift engine's front door: a window of leads against a reference, one verdict a feature."""

import pandas as pd

from lead_scoring_assets.monitoring.drift.columns import Rows
from lead_scoring_assets.monitoring.drift.distances import (
    expected_psi_under_no_drift,
    jensen_shannon_distance,
    kullback_leibler_divergence,
    population_stability_index,
)
from lead_scoring_assets.monitoring.drift.exact import KolmogorovSmirnovTest, kolmogorov_smirnov
from lead_scoring_assets.monitoring.drift.reference import bin_counts, count_frame, read_frame
from lead_scoring_assets.monitoring.drift.reference_state import ReferenceState
from lead_scoring_assets.monitoring.drift.row_by_row import count_window, read_rows
from lead_scoring_assets.monitoring.drift.significance import (
    ChiSquareTest,
    benjamini_hochberg,
    chi_square_two_sample,
    minimum_effect_p_value,
)
from lead_scoring_assets.monitoring.drift.summary import DriftSummary, Severity, summarise_drift
from lead_scoring_assets.monitoring.drift.verdict import FeatureDrift, Limits, Status, measure_counts

__all__ = [
    "ChiSquareTest",
    "DriftSummary",
    "FeatureDrift",
    "KolmogorovSmirnovTest",
    "Limits",
    "Severity",
    "Status",
    "benjamini_hochberg",
    "bin_counts",
    "chi_square_two_sample",
    "expected_psi_under_no_drift",
    "jensen_shannon_distance",
    "kolmogorov_smirnov",
    "kullback_leibler_divergence",
    "measure_drift",
    "minimum_effect_p_value",
    "population_stability_index",
    "summarise_drift",
]


def measure_drift(
    reference: ReferenceState, current: pd.DataFrame | Rows, *, exact: bool = True, **limits: float
) -> list[FeatureDrift]:
    """One verdict per reference column, in the reference's order. A bad column never stops the rest.

    Parameters
    ----------
    current : the window to judge, a frame or a table; columns the reference does not know are ignored.
    exact : Kolmogorov-Smirnov and Wasserstein over every row as well. Alarms stand on counts alone, which need no
        sort and hold no column in memory.
    limits : what differs from the defaults of `Limits`.
    """
    asked = Limits(**limits)  # type: ignore[arg-type]
    if not exact:
        count = count_frame if isinstance(current, pd.DataFrame) else count_window
        return measure_counts(reference, count(reference, current), asked)
    read = read_frame if isinstance(current, pd.DataFrame) else read_rows
    counts, compared = read(reference, current)
    return measure_counts(reference, counts, asked, compared)
