"""What leads brought: over all of them, and over the wins, which are two different figures."""

import numpy as np

from lead_scoring_assets.evaluation.bootstrap import Bootstrap, intervals, total
from lead_scoring_assets.evaluation.means import mean_interval
from lead_scoring_assets.evaluation.metrics import Metric
from lead_scoring_assets.monitoring.business.cohort import BusinessCohort
from lead_scoring_assets.monitoring.business.kpi import Kpi, count, estimate, missing

NAMES = ("revenue", "revenue_per_lead", "deal_value_per_win")


def money(cohort: BusinessCohort, minimum: int, samples: int, seed: int) -> list[Kpi]:
    """Revenue, revenue per lead over ALL leads, and the mean deal over the wins.

    Revenue per lead: percentile interval over resampled leads (Efron 1979), because most leads bring nothing and few bring
    much. Mean deal: normal interval of the mean. A win without a deal value counts as 0 in revenue, and the reason says so.
    """
    n, wins = len(cohort), int((cohort.labels == 1).sum())
    told = np.isfinite(cohort.deal_values)
    currencies = sorted({str(currency) for currency in cohort.currencies[told] if currency is not None})
    if not told.any():
        reason = "no conversion has a deal value" if wins else "nobody converted"
        return [missing(name, n, "not_computable", reason) for name in NAMES]
    if len(currencies) > 1:
        reason = f"deals in {', '.join(currencies)}: amounts in several currencies cannot be added"
        return [missing(name, n, "not_computable", reason) for name in NAMES]
    values = np.where(told, cohort.deal_values, 0.0)
    reason = f"{int(told.sum()):,} of {wins:,} conversions have a deal value"
    if told.sum() < wins:
        reason += "; the others count as 0, so that this is a lower bound"
    [per_lead] = intervals({"revenue_per_lead": lambda w: total(w, values) / n}, Bootstrap(n, samples, seed))
    per_win = Metric("deal_value_per_win", *mean_interval(values[told]), int(told.sum()))
    found = [
        count("revenue", values.sum(), n, reason),
        estimate(per_lead, minimum, reason),
        estimate(per_win, minimum, "mean of the deals that were told; not revenue per lead"),
    ]
    currency = currencies[0] if currencies else None
    return [Kpi(**{**vars(kpi), "currency": currency}) for kpi in found]
