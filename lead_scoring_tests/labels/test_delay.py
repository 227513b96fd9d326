"""The delay curve: closed forms, planted delays that it finds, and young cohorts that do not mislead it."""

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.labels.delay import (
    GROUPS,
    MINIMUM_AT_RISK,
    SCHEMA,
    Curve,
    Fates,
    cumulative_incidence,
    delay_rows,
    judge_group,
    observe,
)

Floats = npt.NDArray[np.float64]

TIMESTAMP = pa.timestamp("us", tz="UTC")
AS_OF = datetime(2024, 6, 1, tzinfo=UTC)
FROM = AS_OF - timedelta(days=90)
HORIZON = 60
TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)


def fates_of(converted: list[int], not_converted: list[int], waiting: list[int]) -> Fates:
    return Fates(*(np.array(counts, dtype=np.float64) for counts in (converted, not_converted, waiting)))


def watched(
    days: Floats, converts: npt.NDArray[np.bool_], ages: npt.NDArray[np.int64], horizon: int = HORIZON
) -> Fates:
    """Counts of leads that are heard of on `days` (inf: never), each watched for `ages` days."""
    last = np.minimum(ages, horizon)
    is_heard = days <= last

    def count(which: npt.NDArray[np.bool_], at: Floats) -> Floats:
        return np.bincount(at[which].astype(int), minlength=horizon + 1).astype(np.float64)

    return Fates(
        count(is_heard & converts, days), count(is_heard & ~converts, days), count(~is_heard, last.astype(np.float64))
    )


# Closed forms.


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=20), st.integers(20, 200))
def test_where_everybody_is_watched_to_the_end_it_is_a_plain_share(counts: list[tuple[int, int]], still: int) -> None:
    """With the binomial's variance: Greenwood without censoring is p(1-p)/n."""
    converted, others = (list(column) for column in zip(*counts, strict=True))
    fates = fates_of(converted, others, [0] * (len(counts) - 1) + [still])
    curve = cumulative_incidence(fates, "converted")
    share = np.cumsum(converted) / fates.leads
    np.testing.assert_allclose(curve.incidence, share, atol=1e-12)
    inside = share > 0
    p = share[inside]
    width = 1.959963984540054 * np.sqrt(p * (1 - p) / fates.leads) / (p * -np.log(p))
    np.testing.assert_allclose(curve.low[inside], p ** np.exp(width), rtol=1e-9)
    np.testing.assert_allclose(curve.high[inside], p ** np.exp(-width), rtol=1e-9)


def test_a_curve_by_hand() -> None:
    """100 leads; 10 convert on day 0, 9 of the 90 left are lost on day 1, 21 leave unheard, 12 of 60 convert on day 2."""
    fates = fates_of([10, 0, 12], [0, 9, 0], [0, 21, 48])
    converted, others = (cumulative_incidence(fates, group) for group in GROUPS)
    np.testing.assert_allclose(converted.at_risk, [100, 90, 60])
    np.testing.assert_allclose(converted.incidence, [0.1, 0.1, 0.1 + 0.9 * 0.9 * 12 / 60])
    np.testing.assert_allclose(others.incidence, [0, 0.09, 0.09])
    assert (converted.median_day, others.median_day) == (2, 1)


def test_the_variance_is_the_textbooks_sum() -> None:
    """The double sum as Marubini and Valsecchi write it, against running sums."""
    rng = np.random.default_rng(0)
    fates = fates_of(*(rng.integers(0, 8, 30).tolist() for _ in range(2)), [*rng.integers(0, 5, 29).tolist(), 40])
    curve = cumulative_incidence(fates, "converted")
    e, d, y, f = fates.converted, fates.converted + fates.not_converted, curve.at_risk, curve.incidence
    s = np.concatenate([[1.0], np.cumprod(1 - d / y)[:-1]])
    for t in (3, 11, 29):
        j = np.arange(t + 1)
        gained = f[t] - f[j]
        variance = (
            (gained**2 * d[j] / (y[j] * (y[j] - d[j]))).sum()
            + (s[j] ** 2 * (y[j] - e[j]) * e[j] / y[j] ** 3).sum()
            - 2 * (gained * s[j] * e[j] / y[j] ** 2).sum()
        )
        width = np.exp(1.959963984540054 * np.sqrt(variance) / (f[t] * -np.log(f[t])))
        np.testing.assert_allclose([curve.low[t], curve.high[t]], [f[t] ** width, f[t] ** (1 / width)])


@given(st.lists(st.tuples(*[st.integers(0, 30)] * 3), min_size=1, max_size=30))
def test_any_curve_is_a_curve(counts: list[tuple[int, int, int]]) -> None:
    fates = fates_of(*(list(column) for column in zip(*counts, strict=True)))
    curves = [cumulative_incidence(fates, group) for group in GROUPS]
    for curve in curves:
        assert len(curve.incidence) == len(curve.at_risk) <= len(counts)
        assert (curve.at_risk >= MINIMUM_AT_RISK).all()
        assert (np.diff(curve.incidence) >= -1e-12).all()
        for bound in (curve.low, curve.incidence, curve.high):
            assert ((bound >= 0) & (bound <= 1 + 1e-12)).all()
        assert (curve.low <= curve.incidence + 1e-12).all()
        assert (curve.incidence <= curve.high + 1e-12).all()
    assert (curves[0].incidence + curves[1].incidence <= 1 + 1e-12).all()


def test_with_too_little_the_answer_says_so() -> None:
    fates = fates_of([19, 0], [20, 0], [0, 961])
    assert judge_group(fates, "converted") == (
        "insufficient_data",
        "1,000 leads, 19 known as converted; 20 are needed",
    )
    assert judge_group(fates, "not converted")[0] == "ok"
    rows = delay_rows(fates, "2024-05", AS_OF)
    (poor,) = (row for row in rows if row["outcome_group"] == "converted")
    assert "day" not in poor
    assert [row["day"] for row in rows if row["outcome_group"] == "not converted"] == [0, 1]
    assert set().union(*rows) == set(SCHEMA.names)
    assert delay_rows(fates_of([0], [0], [0]), "2024-05", AS_OF)[0]["status"] == "insufficient_data"
    assert Curve(*[np.empty(0)] * 4).median_day is None


# Planted delays.

CONVERTS = 0.125


def simulate(rng: np.random.Generator, n: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Days until each lead is heard of: an eighth converts (median 12 days), half says no (median 4), others never."""
    fate = rng.random(n)
    converts, refuses = fate < CONVERTS, (fate >= CONVERTS) & (fate < CONVERTS + 0.5)
    days = np.full(n, np.inf)
    days[converts] = np.ceil(rng.lognormal(np.log(12), 0.6, converts.sum()))
    days[refuses] = np.ceil(rng.lognormal(np.log(4), 0.5, refuses.sum()))
    return days, converts


def truth(group: str) -> Floats:
    """The same shares, from two million leads that are watched to the end."""
    days, converts = simulate(np.random.default_rng(99), 2_000_000)
    which = converts if group == "converted" else ~converts
    return np.array([(which & (days <= day)).mean() for day in range(HORIZON + 1)])


@pytest.mark.parametrize("group", GROUPS)
def test_intervals_hold_the_truth_as_often_as_they_say_though_most_leads_are_young(group: str) -> None:
    """Two of three leads have not been watched to the end. 4,000 worlds: 95 % ± 1.2 points (3.5 standard errors)."""
    true, days_asked = truth(group), np.array([2, 5, 10, 20, 40])
    rng = np.random.default_rng(7)
    hits, estimates = np.zeros(len(days_asked)), []
    for _ in range(4_000):
        days, converts = simulate(rng, 1_500)
        fates = watched(days, converts, rng.integers(0, 90, 1_500))
        curve = cumulative_incidence(fates, "converted" if group == "converted" else "not converted")
        hits += (curve.low[days_asked] <= true[days_asked]) & (true[days_asked] <= curve.high[days_asked])
        estimates.append(curve.incidence[days_asked])
    coverage = hits / 4_000
    # Before its first events the interval of a rare group is exact and so, at the border, wider than it says.
    rare = true[days_asked] * 1_500 < 10
    assert (np.abs(coverage - 0.95) < 0.012)[~rare].all(), coverage
    assert (coverage[rare] > 0.938).all(), coverage
    # No bias that 4,000 worlds could show; the truth itself is known to a few parts in ten thousand.
    means, errors = np.mean(estimates, axis=0), np.std(estimates, axis=0) / np.sqrt(4_000)
    assert (np.abs(means - true[days_asked]) < 4 * errors + 8e-4).all()


def test_the_naive_estimates_are_wrong_on_the_same_leads() -> None:
    """Counting who waits as a no gives too few conversions, and who is known already gives too quick ones."""
    rng = np.random.default_rng(3)
    days, converts = simulate(rng, 200_000)
    ages = rng.integers(0, 40, 200_000)
    heard = days <= ages
    curve = cumulative_incidence(watched(days, converts, ages, 39), "converted")
    at_the_end = (converts & (days <= 39)).mean()
    assert curve.low[-1] <= at_the_end <= curve.high[-1]
    assert (heard & converts).mean() < 0.75 * at_the_end
    assert curve.median_day == pytest.approx(np.median(days[converts & (days <= 39)]), abs=1)
    assert days[heard & converts].mean() < 0.9 * days[converts & (days <= 39)].mean()


# From the tables.


def leads_of(rows: list[tuple[str, datetime, datetime]]) -> pa.Table:
    names = ["lead_id", "created_at", "known_at"]
    schema = pa.schema([(names[0], pa.string()), (names[1], TIMESTAMP), (names[2], TIMESTAMP), ("version", pa.int64())])
    return pa.Table.from_pylist([{**dict(zip(names, row, strict=True)), "version": 1} for row in rows], schema=schema)


def labels_of(rows: list[tuple[str, str, datetime]]) -> pa.Table:
    names = ["lead_id", "basis", "label_known_at"]
    schema = pa.schema([(names[0], pa.string()), (names[1], pa.string()), (names[2], TIMESTAMP)])
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema=schema)


BORN = AS_OF - 40 * DAY


@pytest.mark.parametrize(
    ("heard_after", "day"),
    [(timedelta(0), 0), (TICK, 1), (DAY, 1), (DAY + TICK, 2), (40 * DAY, 40)],
)
def test_a_day_is_over_when_it_is_full(heard_after: timedelta, day: int) -> None:
    fates = observe(leads_of([("a", BORN, BORN)]), labels_of([("a", "converted", BORN + heard_after)]), FROM, AS_OF, 60)
    assert (fates.converted.nonzero()[0].tolist(), fates.leads) == ([day], 1)


def test_what_was_heard_on_the_day_that_is_not_over_counts_as_waiting() -> None:
    """Else the newest leads would lend their conversions to a day that they do not stand for."""
    born = AS_OF - 10.5 * DAY
    heard = labels_of([("a", "lost", AS_OF - TICK)])
    fates = observe(leads_of([("a", born, born)]), heard, FROM, AS_OF, 60)
    assert (fates.leads, fates.waiting.nonzero()[0].tolist()) == (1, [10])


def test_who_counts_and_as_what() -> None:
    leads = leads_of(
        [
            ("silent", BORN, BORN),
            ("late", BORN, BORN),
            ("changed", BORN, BORN),
            ("future", BORN, BORN),
            ("old", FROM - TICK, FROM),
            ("unknown", BORN, AS_OF + TICK),
        ]
    )
    labels = labels_of(
        [
            ("silent", "no outcome in the window", BORN + 30 * DAY),
            ("late", "no outcome in the window", BORN + 30 * DAY),
            ("late", "converted", BORN + 33 * DAY),
            ("changed", "converted", BORN + 3 * DAY),
            ("changed", "open", BORN + 4 * DAY),
            ("changed", "lost", BORN + 9 * DAY),
            ("future", "converted", AS_OF + TICK),
            ("old", "converted", FROM),
            ("unknown", "converted", AS_OF + TICK),
        ]
    )
    fates = observe(leads, labels, FROM, AS_OF, 35)
    assert fates.converted.nonzero()[0].tolist() == [3, 33]
    assert not fates.not_converted.any()
    assert (fates.waiting.nonzero()[0].tolist(), fates.waiting.sum()) == ([35], 2)


def test_leads_younger_than_the_lag_with_which_leads_become_known_are_left_out() -> None:
    """Half of the leads become known after ten days, and with them what they did. Of the youngest only the others are here."""
    rng = np.random.default_rng(0)
    rows, heard = [], []
    for i in range(4_000):
        born = AS_OF - timedelta(days=float(rng.uniform(0, 80)))
        lag = 10 if i % 2 else 0
        if rng.random() < 0.5:
            heard.append((str(i), "converted", born + timedelta(days=max(lag, 1))))
        rows.append((str(i), born, born + timedelta(days=lag)))
    fates = observe(leads_of(rows), labels_of(heard), FROM, AS_OF, 30)
    curve = cumulative_incidence(fates, "converted")
    assert fates.leads == sum(born <= AS_OF - 10 * DAY for _, born, _ in rows)
    assert curve.low[5] <= 0.25 <= curve.high[5]
    assert curve.low[20] <= 0.5 <= curve.high[20]


def test_no_leads_no_curve() -> None:
    fates = observe(leads_of([]), labels_of([]), FROM, AS_OF, 10)
    assert fates.leads == 0
    assert {row["status"] for row in delay_rows(fates, "2024-05", AS_OF)} == {"insufficient_data"}
