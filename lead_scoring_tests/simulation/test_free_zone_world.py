"""The simulated free zone behaves as stated: rates, delays, seasons, reps, and each planted change where it is planted.

Bounds are four standard errors of the stated quantity, or p-values that a true statement passes 9,999 times in 10,000;
the seeds are fixed, so a test that passes once passes always.
"""

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, chisquare

from lead_scoring_assets.errors import SettingsError
from lead_scoring_assets.simulation import outcome_draws as outcomes
from lead_scoring_assets.simulation import population as people
from lead_scoring_assets.simulation.activity_draws import DETAILS
from lead_scoring_assets.simulation.daily_life import Diary, Night
from lead_scoring_assets.simulation.dubai_days import (
    DAY_SECONDS,
    OFFSET_SECONDS,
    is_holiday,
    is_ramadan,
    is_weekend,
    is_working,
    local_days,
)
from lead_scoring_assets.simulation.lead_draws import LEAD
from lead_scoring_assets.simulation.random_streams import Purpose, stream
from lead_scoring_assets.simulation.work_queue import Scores, WorkQueue, points
from lead_scoring_assets.simulation.world import EFFECTS, Effect, World, day_number, reps_for
from lead_scoring_tests.simulation.free_zones import lived

START = date(2022, 1, 1)
YEAR_DAYS, QUARTER_DAYS = 365, 90
NULL = World(seed=11, leads_a_month=5_000)
SMALL = World(seed=12, leads_a_month=3_000)
CHANGE = date(2022, 2, 1)
STUDENT = people.STUDENT


@pytest.fixture(scope="module")
def year() -> Night:
    """A year of the null world: some 60,000 leads."""
    return lived(NULL, START, YEAR_DAYS)


@pytest.fixture(scope="module")
def null_quarter() -> Night:
    return lived(SMALL, START, QUARTER_DAYS)


def first_leads(night: Night) -> NDArray[np.void]:
    """Each lead once, as it was exported first, in order of number."""
    _, positions = np.unique(night.leads["number"], return_index=True)
    return night.leads[positions]


def four_errors(share: float, count: int) -> float:
    return 4 * float(np.sqrt(share * (1 - share) / count))


# --- Rates


def test_one_lead_in_eight_converts_and_seven_in_ten_are_worked(year: Night) -> None:
    truth = year.truth
    assert (truth["final_outcome"] == outcomes.CONVERTED).mean() == pytest.approx(0.125, abs=0.007)
    assert truth["is_worked"].mean() == pytest.approx(0.70, abs=0.03)


def test_as_many_leads_and_activities_come_as_stated(year: Night) -> None:
    leads = first_leads(year)
    assert len(leads) == pytest.approx(12 * NULL.leads_a_month, rel=0.03)
    assert len(year.activities) / len(leads) == pytest.approx(NULL.activities_a_lead, rel=0.06)
    assert leads["engagement"].mean() == pytest.approx(NULL.activities_a_lead / 2, rel=0.1)
    # Counts of a Poisson distribution would have the variance of their mean.
    assert leads["engagement"].var() > 4 * leads["engagement"].mean()


def test_conversions_are_as_frequent_as_the_true_chances_say(year: Night) -> None:
    for is_worked in (True, False):
        truth = year.truth[year.truth["is_worked"] == is_worked]
        chances = truth["p_as_handled"]
        found = (truth["outcome"] == outcomes.CONVERTED).sum()
        assert found == pytest.approx(chances.sum(), abs=4 * np.sqrt((chances * (1 - chances)).sum()))


def test_leads_that_nobody_contacts_convert_far_less_than_the_same_leads_would_have(year: Night) -> None:
    given_up = year.truth[~year.truth["is_worked"]]
    found = (given_up["outcome"] == outcomes.CONVERTED).mean()
    assert found < 0.25 * (given_up["chance"] < given_up["p_if_worked"]).mean()


def test_students_click_a_lot_and_never_buy(year: Night) -> None:
    leads, truth = first_leads(year), year.truth
    students = truth["job_title"] == STUDENT
    assert students.sum() > 3_000
    assert not (truth["p_if_worked"][students] > 0).any()
    for name in ("outcome", "final_outcome"):
        assert not (truth[name][students] == outcomes.CONVERTED).any()
    is_student = leads["job_title"] == STUDENT
    assert leads["engagement"][is_student].mean() > 2.5 * leads["engagement"][~is_student].mean()
    bought = year.outcomes[year.outcomes["outcome"] == outcomes.CONVERTED]["lead"]
    assert not np.isin(truth["number"][students], bought).any()


def test_intent_that_nobody_sees_shows_in_what_leads_do(year: Night) -> None:
    leads = first_leads(year)
    others = leads[leads["job_title"] != STUDENT]
    keen, idle = others[others["intent"] > 1], others[others["intent"] < -1]
    assert keen["engagement"].mean() > 2 * idle["engagement"].mean()


def test_the_newest_cohort_looks_worse_than_it_is(year: Night) -> None:
    """A lead that is not old enough has no outcome yet: counted as lost, a cohort reads low."""
    end = (day_number(START) + YEAR_DAYS) * DAY_SECONDS - OFFSET_SECONDS
    known = year.outcomes[year.outcomes["outcome"] == outcomes.CONVERTED]["lead"]
    leads = first_leads(year)
    age_days = (end - (leads["day"].astype(np.int64) * DAY_SECONDS + leads["second"])) / DAY_SECONDS
    young, old = leads[age_days < 14]["number"], leads[(age_days > 75) & (age_days < 165)]["number"]
    assert np.isin(old, known).mean() == pytest.approx(0.125, abs=0.015)
    assert np.isin(young, known).mean() < 0.5 * np.isin(old, known).mean()


# --- Outcomes


@pytest.mark.parametrize("outcome", [outcomes.DISQUALIFIED, outcomes.LOST, outcomes.NO_RESPONSE])
def test_delays_follow_the_stated_lognormal(outcome: int, year: Night) -> None:
    truth = year.truth[(year.truth["outcome"] == outcome) & year.truth["is_worked"]]
    days = (truth["moment"] - truth["worked"]) / DAY_SECONDS
    error = outcomes.DELAY_SIGMA / np.sqrt(len(days))
    assert np.log(days).mean() == pytest.approx(np.log(outcomes.MEDIAN_DELAY_DAYS[outcome]), abs=4 * error)
    assert np.log(days).std() == pytest.approx(outcomes.DELAY_SIGMA, abs=4 * error)


def test_bigger_deals_take_longer_and_keen_leads_close_sooner(year: Night) -> None:
    truth = year.truth
    won = truth[(truth["outcome"] == outcomes.CONVERTED) & (truth["final_outcome"] == outcomes.CONVERTED)]
    won = won[won["is_worked"]]
    log_days = np.log((won["moment"] - won["worked"]) / DAY_SECONDS)
    design = np.column_stack([np.ones(len(won)), np.log(won["deal_value"] / 15_000), won["intent"]])
    found, *_ = np.linalg.lstsq(design, log_days, rcond=None)
    covariance = outcomes.DELAY_SIGMA**2 * np.linalg.inv(design.T @ design)
    stated = [np.log(outcomes.MEDIAN_DELAY_DAYS[0]), outcomes.DELAY_BY_DEAL, outcomes.DELAY_BY_INTENT]
    assert (np.abs(found - stated) < 4 * np.sqrt(np.diag(covariance))).all()


def test_the_stated_shares_are_reported_and_corrected(year: Night) -> None:
    truth = year.truth
    for outcome, share in enumerate(outcomes.SHARE_REPORTED):
        reported = truth["is_reported"][truth["outcome"] == outcome]
        assert reported.mean() == pytest.approx(share, abs=four_errors(share, len(reported)))
    for correction in outcomes.CORRECTIONS:
        told = truth[(truth["outcome"] == correction.before) & truth["is_reported"]]
        share = (told["final_outcome"] == correction.after).mean()
        assert share == pytest.approx(correction.share, abs=four_errors(correction.share, len(told)))


def test_a_correction_is_known_after_what_it_corrects(year: Night) -> None:
    order = np.lexsort([year.outcomes["moment"], year.outcomes["lead"]])
    told = year.outcomes[order]
    again = np.flatnonzero(told["lead"][1:] == told["lead"][:-1]) + 1
    assert len(again) > 500
    assert (told["known_day"][again] > told["known_day"][again - 1]).all()


# --- Reps


def test_reps_work_within_their_capacity_on_working_days_only(year: Night) -> None:
    calls = year.activities[year.activities["detail"] == DETAILS.index("first contact")]
    days = local_days(calls["moment"])
    worked, contacts = np.unique(days, return_counts=True)
    assert all(is_working(int(day)) for day in worked)
    assert contacts.max() <= NULL.capacity(int(worked[0])) == 168
    _, of_each = np.unique(days * 1_000 + calls["rep"], return_counts=True)
    assert of_each.max() <= 8
    assert calls["rep"].max() == reps_for(168) == 21
    assert len(np.unique(calls["lead"])) == len(calls)


@st.composite
def waiting_leads(draw: st.DrawFn) -> NDArray[np.void]:
    count = draw(st.integers(0, 60))
    leads = np.zeros(count, dtype=LEAD)
    leads["number"] = np.arange(count)
    for name, values in (
        ("priority", st.sampled_from([0.0, 10.0, 25.0, 50.0])),
        ("luck", st.floats(0, 1, exclude_max=True)),
        ("known_day", st.integers(0, 8)),
    ):
        leads[name] = draw(st.lists(values, min_size=count, max_size=count))
    return leads


@given(
    leads=waiting_leads(), capacity=st.integers(0, 12), patience=st.integers(1, 6), by_luck=st.sampled_from([0.0, 0.3])
)
def test_every_lead_is_decided_once_hot_ones_first_and_nobody_works_more_than_they_can(
    leads: NDArray[np.void], capacity: int, patience: int, by_luck: float
) -> None:
    monday = day_number(date(2022, 1, 10))
    leads["known_day"] += monday
    world = World(contacts_a_working_day=capacity, patience_days=patience, unprioritised_share=by_luck)
    queue = WorkQueue(world)
    queue.add(leads)
    decided: list[int] = []
    for day in range(monday, monday + 8 + patience + 1):
        open_before = len(leads) - len(decided)
        done = queue.decide(day)
        worked, given_up = done.leads[done.is_worked], done.leads[~done.is_worked]
        assert len(worked) <= (capacity if is_working(day) else 0)
        assert (worked["known_day"] <= day).all()
        assert (day - given_up["known_day"] >= patience).all()
        decided += done.leads["number"].tolist()
        assert len(queue) == open_before - len(done.leads)
        left = leads[~np.isin(leads["number"], decided)]
        left = left[left["known_day"] <= day]
        if by_luck == 0 and len(worked):
            assert worked["priority"].min() >= max(left["priority"].max(initial=0), given_up["priority"].max(initial=0))
        # A rep has nothing to do only when nobody waits.
        assert len(worked) == capacity or not is_working(day) or not len(left)
        assert len(np.unique(done.reps[done.is_worked])) <= reps_for(capacity)
    assert sorted(decided) == list(range(len(leads)))


@given(leads=waiting_leads(), scores=st.dictionaries(st.integers(0, 80), st.floats(0, 1)))
def test_scores_stand_for_the_points_of_the_leads_they_name(leads: NDArray[np.void], scores: dict[int, float]) -> None:
    before = leads["priority"].copy()
    Scores.of({f"fz-{number}": score for number, score in scores.items()}).prioritise(leads)
    for lead, old in zip(leads, before, strict=True):
        number = int(lead["number"])
        assert lead["priority"] == (100 * scores[number] if number in scores else old)


def test_the_existing_process_likes_referrals_activity_and_phones() -> None:
    leads = np.zeros(4, dtype=LEAD)
    leads["source"] = [people.SOURCE.code(name) for name in ("referral", "google_ads", "google_ads", "google_ads")]
    leads["true_phone"] = [people.PHONE.code(name) for name in ("no", "no", "yes", "no")]
    leads["engagement"] = [0, 4, 0, 1_000]
    assert points(leads).tolist() == [30.0, 15.0, 25.0, 55.0]


# --- Days


def test_weekends_holidays_and_ramadan_are_those_of_dubai() -> None:
    def on(question: object, *days: date) -> list[bool]:
        assert callable(question)
        return [question(day_number(day)) for day in days]

    friday_to_sunday = [date(2021, 12, 24), date(2021, 12, 25), date(2021, 12, 26)]
    assert on(is_weekend, *friday_to_sunday) == [True, True, False]
    assert on(is_weekend, date(2022, 1, 7), date(2022, 1, 8), date(2022, 1, 9), date(2022, 1, 10)) == [
        *(False, True, True, False)
    ]
    assert on(is_holiday, date(2022, 5, 2), date(2023, 12, 2), date(2024, 1, 1), date(2024, 6, 16)) == [True] * 4
    assert on(is_ramadan, date(2022, 4, 1), date(2022, 4, 2), date(2024, 3, 11), date(2024, 4, 10)) == [
        *(False, True, True, False)
    ]


def test_seasons_show_when_they_are_on_and_not_when_they_are_off(year: Night) -> None:
    flat = lived(World(seed=11, leads_a_month=1_500, seasonality=False), START, 364)
    for night, is_flat in ((flat, True), (year, False)):
        leads = first_leads(night)
        of_weekday = np.bincount(leads["day"] % 7, minlength=7)
        of_hour = np.bincount(leads["second"] // 3_600, minlength=24)
        assert (chisquare(of_weekday).pvalue > 1e-4) == is_flat
        assert (chisquare(of_hour).pvalue > 1e-4) == is_flat
    days = first_leads(year)["day"]
    july, october = (
        ((days >= day_number(date(2022, month, 1))) & (days < day_number(date(2022, month + 1, 1)))).sum()
        for month in (7, 10)
    )
    assert july < 0.85 * october


# --- Planted changes


def planted(name: str, strength: float) -> Night:
    return lived(World(seed=12, leads_a_month=3_000, planted={name: Effect(CHANGE, strength)}), START, QUARTER_DAYS)


@pytest.mark.parametrize("name", EFFECTS)
def test_before_a_change_starts_nothing_is_different_and_after_it_something_is(name: str) -> None:
    usual_days = (CHANGE - START).days
    changed = World(seed=12, leads_a_month=300, planted={name: Effect(CHANGE, 0.5)})
    usual = World(seed=12, leads_a_month=300)

    def bytes_of(night: Night) -> list[bytes]:
        return [part.tobytes() for part in (night.leads, night.activities, night.outcomes, night.truth)]

    assert bytes_of(lived(changed, START, usual_days)) == bytes_of(lived(usual, START, usual_days))
    assert bytes_of(lived(changed, START, usual_days + 30)) != bytes_of(lived(usual, START, usual_days + 30))


def test_in_the_null_world_the_mix_of_leads_stays_and_an_ad_campaign_changes_it(null_quarter: Night) -> None:
    p_values = {}
    for kind, night in (("null", null_quarter), ("campaign", planted("ad_campaign", 0.3))):
        leads = first_leads(night)
        is_later = leads["day"] >= day_number(CHANGE)
        for name, attribute in (("source", people.SOURCE), ("region", people.REGION)):
            counts = [np.bincount(leads[name][part], minlength=len(attribute.names)) for part in (is_later, ~is_later)]
            p_values[kind, name] = chi2_contingency(counts).pvalue
    assert min(p_values["null", "source"], p_values["null", "region"]) > 1e-4
    assert max(p_values["campaign", "source"], p_values["campaign", "region"]) < 1e-9


def test_an_ad_campaign_leaves_everybody_elses_chances_alone(null_quarter: Night) -> None:
    """Pure covariate drift: leads outside the campaign are the same leads, with the same chances."""
    usual, changed = first_leads(null_quarter), first_leads(planted("ad_campaign", 0.3))
    assert (usual["number"] == changed["number"]).all()
    later = changed["day"] >= day_number(CHANGE)
    share = changed["from_campaign"][later].mean()
    assert share == pytest.approx(0.3, abs=four_errors(0.3, int(later.sum())))
    outside = ~changed["from_campaign"]
    assert (usual["p_if_worked"][outside] == changed["p_if_worked"][outside]).all()
    assert not changed["from_campaign"][~later].any()


def test_a_fee_change_moves_the_log_odds_of_leads_from_india_and_of_nobody_else(null_quarter: Night) -> None:
    usual, changed = first_leads(null_quarter), first_leads(planted("fee_change", 0.9))
    hit = (
        (changed["region"] == people.REGION.code("India"))
        & (changed["day"] >= day_number(CHANGE))
        & (changed["job_title"] != STUDENT)
    )
    assert hit.sum() > 500
    odds_before, odds_after = (
        np.log(each / (1 - each)) for each in (usual["p_if_worked"][hit], changed["p_if_worked"][hit])
    )
    np.testing.assert_allclose(odds_before - odds_after, 0.9, rtol=1e-9)
    assert (usual["p_if_worked"][~hit] == changed["p_if_worked"][~hit]).all()
    # Concept drift alone: what is exported of the leads is the same.
    for name in ("source", "region", "industry", "job_title", "company_size", "phone", "engagement"):
        assert (usual[name] == changed[name]).all(), name


def test_a_surge_adds_the_stated_share_of_students() -> None:
    leads = first_leads(planted("student_surge", 0.2))
    usual = people.JOB_TITLE.shares[STUDENT] / sum(people.JOB_TITLE.shares)
    for is_later, share in ((True, usual + 0.2), (False, usual)):
        part = leads[(leads["day"] >= day_number(CHANGE)) == is_later]
        assert (part["job_title"] == STUDENT).mean() == pytest.approx(share, abs=four_errors(share, len(part)))


def test_slower_outcomes_stretch_delays_as_stated() -> None:
    truth = planted("slower_outcomes", 1.0).truth
    lost = truth[(truth["outcome"] == outcomes.LOST) & truth["is_worked"]]
    for is_later, median in ((True, 28.0), (False, 14.0)):
        part = lost[(lost["decided_day"] >= day_number(CHANGE)) == is_later]
        log_days = np.log((part["moment"] - part["worked"]) / DAY_SECONDS)
        assert log_days.mean() == pytest.approx(np.log(median), abs=4 * outcomes.DELAY_SIGMA / np.sqrt(len(part)))


def test_fewer_reps_work_fewer_leads_a_day() -> None:
    truth = planted("fewer_reps", 0.5).truth
    worked = truth[truth["is_worked"]]
    usual, cut = SMALL.capacity(0), SMALL.capacity(0) // 2
    days, contacts = np.unique(worked["decided_day"], return_counts=True)
    later = days >= day_number(CHANGE)
    assert contacts[~later].max() == usual
    assert set(contacts[later].tolist()) == {cut}


@pytest.mark.parametrize(("name", "column", "true"), [
    ("phone_missing", "phone", "true_phone"),
    ("industry_missing", "industry", "true_industry"),
])  # fmt: skip
def test_a_missing_data_fault_empties_its_column_from_its_date_and_changes_nothing_else(
    name: str, column: str, true: str, null_quarter: Night
) -> None:
    usual, changed = first_leads(null_quarter), first_leads(planted(name, 0.4))
    affected = changed["day"] >= day_number(CHANGE)
    if name == "industry_missing":
        affected &= changed["source"] == people.WEB_FORM
    was_there = usual[column] != people.MISSING
    emptied = was_there & (changed[column] == people.MISSING)
    count = int((affected & was_there).sum())
    assert emptied[affected & was_there].mean() == pytest.approx(0.4, abs=four_errors(0.4, count))
    assert not emptied[~affected].any()
    for same in (true, "p_if_worked", "engagement", "priority"):
        assert (usual[same] == changed[same]).all()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seed": -1}, "seed 0 or more, below 2.64; found -1"),
        ({"leads_a_month": 0}, "leads_a_month from 1 to 20,000,000; found 0"),
        ({"activities_a_lead": float("nan")}, "activities_a_lead from 0 to 200; found nan"),
        ({"contacts_a_working_day": -1}, "contacts_a_working_day 0 or more; found -1"),
        ({"patience_days": 0}, "patience_days from 1 to 60; found 0"),
        ({"unprioritised_share": 1.5}, "unprioritised_share from 0 to 1; found 1.5"),
        ({"planted": {"gold_rush": Effect(START, 1.0)}}, "found 'gold_rush'"),
        ({"planted": {"fewer_reps": Effect(START, 1.1)}}, "planted.fewer_reps.strength from 0 to 1; found 1.1"),
    ],
)
def test_an_unusable_world_is_refused_by_name(changed: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        World(**changed)  # type: ignore[arg-type]


# --- Parts


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 9)), max_size=60))
def test_a_diary_gives_each_record_once_on_its_day_in_order(entries: list[tuple[int, int]]) -> None:
    kind = np.dtype([("known_day", "i4"), ("mark", "i8")])
    diary = Diary(kind)
    records = np.array([(day, mark) for mark, (day, _) in enumerate(entries)], dtype=kind)
    for part in np.array_split(records, 3):
        diary.put(part, part["known_day"])
    for day in range(202):
        found = diary.take(day)
        assert found["mark"].tolist() == records["mark"][records["known_day"] == day].tolist()
        assert not len(diary.take(day))


def test_streams_of_different_days_purposes_and_seeds_have_nothing_in_common() -> None:
    drawn = {
        (seed, day, purpose): stream(seed, day, purpose).random(4).tobytes()
        for seed in (0, 1, 2**63)
        for day in (0, 1, 18_993)
        for purpose in Purpose
    }
    assert len(set(drawn.values())) == len(drawn)
    assert max(Purpose) < 256
