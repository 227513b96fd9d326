"""Cohorts of matured leads with the truth planted: what converts, what it brings, who is contacted and when."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from lead_scoring_assets.monitoring.business.cohort import BusinessCohort

FROM, BEFORE, AS_OF = (datetime(2009, month, 1, tzinfo=UTC) for month in (3, 4, 5))
BUCKETS = ("Hot", "Warm", "Cool", "Cold")


def cohort(rng: np.random.Generator, n: int, rates: tuple[float, ...] = (0.4, 0.2, 0.1, 0.05)) -> BusinessCohort:
    """Leads evenly over the buckets; each bucket converts at its rate, better ones are contacted sooner."""
    place = rng.integers(0, len(BUCKETS), n)
    won = rng.random(n) < np.array(rates)[place]
    fates = np.where(won, "converted", rng.choice(["lost", "disqualified", "undecided"], n)).astype(object)
    decided = fates != "undecided"
    contact = rng.exponential(24.0 * (1 + place), n)
    return BusinessCohort(
        FROM,
        BEFORE,
        AS_OF,
        buckets=np.array(BUCKETS, dtype=object)[place],
        scores=np.array(rates)[place],
        labels=won.astype(np.float64),
        fates=fates,
        closed_days=np.where(decided, rng.uniform(1, 30, n), np.nan),
        contact_hours=np.where(rng.random(n) < 0.8, contact, np.nan),
        age_days=rng.uniform(30, 60, n),
        deal_values=np.where(won, rng.lognormal(9, 1, n), np.nan),
        currencies=np.where(won, "AED", None).astype(object),
    )


def with_open_leads(matured: BusinessCohort, n: int) -> BusinessCohort:
    """The same with `n` of its leads' labels not known, which no production cohort should have."""
    labels = matured.labels.copy()
    labels[:n] = np.nan
    return replace(matured, labels=labels)
