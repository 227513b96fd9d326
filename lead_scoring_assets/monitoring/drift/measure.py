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
from lead_scoring_assets.monitoring.drift.reference import bin_counts, read_frame
from lead_scoring_assets.monitoring.drift.reference_state import ReferenceState
from lead_scoring_assets.monitoring.drift.row_by_row import read_rows
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


def measure_drift(reference: ReferenceState, current: pd.DataFrame | Rows, **limits: float) -> list[FeatureDrift]:
    """One verdict per reference column, in the reference's order. A bad column never stops the rest.

    Parameters
    ----------
    current : the window to judge, a frame or a table; columns the reference does not know are ignored.
    limits : what differs from the defaults of `Limits`.
    """
    read = read_frame if isinstance(current, pd.DataFrame) else read_rows
    counts, exact = read(reference, current)
    return measure_counts(reference, counts, Limits(**limits), exact)  # type: ignore[arg-type]
