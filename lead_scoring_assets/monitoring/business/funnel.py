"""From leads to customers, in counts that add up: who left where."""

import numpy as np

from lead_scoring_assets.evaluation.metrics import share
from lead_scoring_assets.monitoring.business.cohort import UNDECIDED, BusinessCohort
from lead_scoring_assets.monitoring.business.kpi import Kpi, count, estimate, missing

NO_TOUCH = "no activity names a rep, so nobody knows who was contacted"


def funnel(cohort: BusinessCohort, minimum: int) -> list[Kpi]:
    """Lead → contacted → qualified → customer, with those who left at each step.

    Contacted: a rep called, met or answered, or an outcome was decided (which somebody did). Qualified: neither
    disqualified nor undecided. So leads = not contacted + undecided + disqualified + lost + customers, and each stage is the
    one before less those who left. Step rates have Wilson's interval (1927).
    """
    n = len(cohort)
    decided = cohort.fates != UNDECIDED
    touched = np.isfinite(cohort.contact_hours) | decided
    lost, disqualified = (int((cohort.fates == fate).sum()) for fate in ("lost", "disqualified"))
    customers = int((cohort.fates == "converted").sum())
    qualified = lost + customers
    contacted = int(touched.sum())
    found = [
        count("funnel_leads", n, n),
        count("funnel_disqualified", disqualified, n),
        count("funnel_qualified", qualified, n),
        count("funnel_lost", lost, n),
        count("funnel_customers", customers, n),
        estimate(share("customers_of_qualified", customers, qualified), minimum, "of qualified leads, who bought"),
    ]
    if not np.isfinite(cohort.contact_hours).any():
        names = ("funnel_not_contacted", "funnel_contacted", "funnel_undecided", "contacted_share")
        return [*found, *(missing(name, n, "insufficient_data", NO_TOUCH) for name in names)]
    return [
        *found,
        count("funnel_not_contacted", n - contacted, n),
        count("funnel_contacted", contacted, n),
        count("funnel_undecided", int((touched & ~decided).sum()), n),
        estimate(share("contacted_share", contacted, n), minimum, "of leads, whom a rep contacted"),
        estimate(share("qualified_of_contacted", qualified, contacted), minimum, "of contacted leads, who qualified"),
    ]
