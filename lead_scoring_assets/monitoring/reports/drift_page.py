"""The drift report without Evidently: our numbers alone, on a light page that every period has at no cost."""

from collections.abc import Sequence

from lead_scoring_assets.monitoring.drift.measure import FeatureDrift, summarise_drift
from lead_scoring_assets.monitoring.reports.drift_report import HEADER, table_row, worst_first
from lead_scoring_assets.monitoring.reports.plain_page import cell, plain_page, table


def drift_page(title: str, mark: str, drifts: Sequence[FeatureDrift]) -> str:
    """The page's HTML: one sentence, the numbers of every feature, worst first, and the reason of each verdict."""
    ordered = worst_first(drifts)
    numbers = table(HEADER, [[cell(text) for text in table_row(drift)] for drift in ordered])
    reasons = table(["Feature", "Why"], [[cell(drift.feature), cell(drift.reason)] for drift in ordered], "wrap")
    about = "Measured over all rows. The page of the newest period shows pictures of both samples as well."
    body = f'<p class="lead">{cell(summarise_drift(drifts).sentence)}</p>{numbers}<h2>Why</h2>{reasons}'
    return plain_page(title, about, mark, body)
