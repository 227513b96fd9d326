"""The doctor: each planted fault is found and named, alone; a clean company gets no warning; nothing makes it stumble."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from lead_scoring_assets.contracts.validation import arrow_schema
from lead_scoring_assets.evaluation.metrics import auc
from lead_scoring_assets.onboarding.diagnoses_leaks import cross_fitted
from lead_scoring_assets.onboarding.diagnoses_time import hour_shift
from lead_scoring_assets.onboarding.diagnosis import INSUFFICIENT
from lead_scoring_assets.onboarding.doctor import examine, render
from lead_scoring_tests.onboarding.worlds import (
    AS_OF,
    REGIONS,
    RHYTHM,
    SETTINGS,
    World,
    clean_world,
    faults,
    only,
    settings_with,
)

ODD_NAMES = [
    "default",
    'a"b',
    "select",
    "größe in m²",
    "x; DROP TABLE leads",
    "it's",
    "$1",
    "--",
    "{0}",
    "[red]",
    *("label", "n", "x", "hour", "day", "quarter", "matured", "f0", "converted", "outcome", "outcome_at", "fold", "l"),
]
A_FEATURE: dict[str, Any] = {"role": "feature", "required": False, "why": "w"}


@pytest.mark.parametrize("seed", range(20))
def test_a_clean_company_gets_no_warning(seed: int) -> None:
    size = 150 + 50 * (seed % 10)
    minimum = {"minimum_rows": 300, "minimum_positives": 20, "minimum_holdout_rows": 60, "minimum_holdout_positives": 3}
    found = clean_world(seed, size).plant(settings=settings_with(training=minimum)).examine()
    assert faults(found) == []
    assert {told.remedy for told in found} == {""}


def test_what_is_well_is_told_with_what_was_looked_at(world: World) -> None:
    told = {diagnosis.name: diagnosis for diagnosis in world.examine()}
    assert len(told) >= 20
    assert told["leak suspect"].numbers["matured"] + told["leak suspect"].numbers["immature"] == len(world.leads)
    rate = told["conversion rate"].numbers
    assert rate["low"] < 0.12 < rate["high"]
    assert told["conversion window"].numbers["late"] == pytest.approx(np.exp(-30 / 7), abs=0.02)


@pytest.fixture(scope="module")
def world() -> World:
    return clean_world(222)


Plant = Callable[[World], World]


def on_leads(**columns: Callable[[pd.DataFrame], Any]) -> Plant:
    return lambda world: world.plant(leads=world.leads.assign(**columns))


def with_feature(kind: str, values: Callable[[World], Any], **said: Any) -> Plant:
    """One more feature, named x."""

    def plant(world: World) -> World:
        columns = {"x": {**A_FEATURE, "kind": kind, **said}}
        return world.plant(
            leads=world.leads.assign(x=values(world)),
            settings=settings_with(columns=columns),
        )

    return plant


def on_outcomes(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Plant:
    return lambda world: world.plant(outcomes=change(world.outcomes.copy()))


def some(n: int, every: int) -> np.ndarray:
    return np.arange(n) % every == 0


def converted(world: World) -> pd.Series:
    """Whether each lead has converted by now."""
    return world.leads["lead_id"].isin(world.outcomes.loc[world.outcomes["outcome"] == "converted", "lead_id"])


def has_outcome(world: World) -> pd.Series:
    return world.leads["lead_id"].isin(world.outcomes["lead_id"])


def noise(world: World) -> np.ndarray:
    return np.random.default_rng(1).normal(size=len(world.leads))


def first_half(times: pd.Series) -> pd.Series:
    return times < pd.Timestamp("2024-08-01", tz="UTC")


def shifted(frame: pd.DataFrame, column: str, hours: int) -> pd.DataFrame:
    """An export that changed its time zone in August 2024."""
    moved = frame[column].where(first_half(frame[column]), frame[column] + pd.Timedelta(hours=hours))
    return frame.assign(**{column: moved})


def also(frame: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, more], ignore_index=True)


PLANTED: dict[str, tuple[Plant, list[tuple[str, str]]]] = {
    "a number that ranks the outcome": (
        with_feature("number", lambda w: converted(w) * 4.0 + noise(w)),
        [("leak suspect", "raw_leads.x")],
    ),
    "a number that ranks it the other way round": (
        with_feature("number", lambda w: converted(w) * -4.0 + noise(w)),
        [("leak suspect", "raw_leads.x")],
    ),
    "a number that is extreme either way when the lead is lost": (
        with_feature("number", lambda w: np.where(converted(w), 0.1, 3 * np.sign(noise(w))) * (1 + noise(w) ** 2)),
        [("leak suspect", "raw_leads.x")],
    ),
    "a category that is the outcome": (
        with_feature("category", lambda w: np.where(converted(w), "won", "no"), categories=["won", "no"]),
        [("leak suspect", "raw_leads.x")],
    ),
    "a column that is filled for conversions only": (
        with_feature("integer", lambda w: pd.Series(7, w.leads.index, "Int64").where(converted(w))),
        [("missing values", "raw_leads.x"), ("constant column", "raw_leads.x"), ("leak suspect", "raw_leads.x")],
    ),
    "a column that is filled at any outcome": (
        with_feature("number", lambda w: np.where(has_outcome(w), noise(w), np.nan)),
        [("filled with the outcome", "raw_leads.x"), ("missing values", "raw_leads.x")],
    ),
    "a category in which all convert": (
        with_feature(
            "category",
            lambda w: np.where(converted(w) & (noise(w) > 1), "vip", np.where(noise(w) > 0, "a", "b")),
            categories=["vip", "a", "b"],
        ),
        [("one label only", "raw_leads.x")],
    ),
    "a category in which none converts": (
        with_feature(
            "category",
            lambda w: np.where(~converted(w) & (noise(w) > 1), "junk", np.where(noise(w) > 0, "a", "b")),
            categories=["junk", "a", "b"],
        ),
        [("one label only", "raw_leads.x")],
    ),
    "a constant number": (with_feature("number", lambda w: 3.5), [("constant column", "raw_leads.x")]),
    "a constant category": (
        with_feature("category", lambda w: "a", categories=["a", "b"]),
        [("constant column", "raw_leads.x")],
    ),
    "a nearly constant number": (
        with_feature("number", lambda w: np.where(some(len(w.leads), 200), noise(w), 0.0)),
        [("nearly constant column", "raw_leads.x")],
    ),
    "sixty categories": (
        with_feature(
            "category", lambda w: [f"c{k % 60}" for k in range(len(w.leads))], categories=[f"c{k}" for k in range(60)]
        ),
        [("too many categories", "raw_leads.x")],
    ),
    "an identifier of text": (
        with_feature(
            "category", lambda w: [f"c{k}" for k in range(len(w.leads))], categories=[f"c{k}" for k in range(9999)]
        ),
        [("identifier among the features", "raw_leads.x")],
    ),
    "a running number": (
        with_feature("integer", lambda w: np.random.default_rng(2).permutation(len(w.leads)) + 1000),
        [("identifier among the features", "raw_leads.x")],
    ),
    "a sparse number that rises with time": (
        with_feature("integer", lambda w: w.leads["created_at"].dt.as_unit("us").astype("int64") // 10**6),
        [("identifier among the features", "raw_leads.x")],
    ),
    "a fifth missing": (on_leads(score=lambda t: t["score"].mask(some(len(t), 5))), [("missing values", "raw_leads.score")]),
    "nearly all missing": (
        on_leads(score=lambda t: t["score"].where(some(len(t), 9))),
        [("missing values", "raw_leads.score")],
    ),
    "all missing": (on_leads(score=lambda t: np.nan), [("missing values", "raw_leads.score")]),
    "a number beyond its bounds": (
        on_leads(age=lambda t: t["age"].mask(some(len(t), 500), 999)),
        [("number outside its range", "raw_leads.age")],
    ),
    "every number beyond its bounds": (
        on_leads(age=lambda t: t["age"] * 365),
        [("number outside its range", "raw_leads.age")],
    ),
    "infinite numbers": (
        on_leads(score=lambda t: t["score"].mask(some(len(t), 50), np.inf)),
        [("number outside its range", "raw_leads.score")],
    ),
    "9999 for not there": (
        on_leads(score=lambda t: t["score"].mask(some(len(t), 20), 9999)),
        [("stand-in for a missing value", "raw_leads.score")],
    ),
    "-1 for never": (
        with_feature("integer", lambda w: np.where(noise(w) > 0, np.arange(len(w.leads)) % 13, -1)),
        [("stand-in for a missing value", "raw_leads.x")],
    ),
    "a category that nobody declared": (
        on_leads(region=lambda t: t["region"].mask(some(len(t), 40), "centre")),
        [("unseen category", "raw_leads.region")],
    ),
    "formulas": (
        on_leads(note=lambda t: t["note"].mask(some(len(t), 1000), "=HYPERLINK(A1)")),
        [("formula-like text", "raw_leads.note")],
    ),
    "a formula behind a plus": (
        lambda w: w.plant(activities=w.activities.assign(detail="+cmd|' /C calc'!A0")),
        [("formula-like text", "raw_activities.detail")],
    ),
    "leads of the future": (
        on_leads(created_at=lambda t: t["created_at"].mask(some(len(t), 700), t["created_at"] + pd.Timedelta(days=1))),
        [("time in the future", "raw_leads.created_at")],
    ),
    "outcomes before their leads": (
        on_outcomes(lambda t: t.assign(outcome_at=t["outcome_at"].mask(some(len(t), 90), pd.Timestamp("2023-12-31", tz="UTC")))),
        [("outcome before its lead", "raw_outcomes.outcome_at")],
    ),
    "outcomes of unknown leads": (
        on_outcomes(lambda t: t.assign(lead_id=t["lead_id"].mask(some(len(t), 70), "nobody"))),
        [("outcomes of unknown leads", "raw_outcomes.lead_id")],
    ),
    "activities of unknown leads": (
        lambda w: w.plant(activities=w.activities.assign(lead_id="x" + w.activities["lead_id"])),
        [("activities of unknown leads", "raw_activities.lead_id")],
    ),
    "two outcomes at once": (
        on_outcomes(lambda t: also(t, t[some(len(t), 50)].assign(outcome="disqualified"))),
        [("contradictory outcomes", "raw_outcomes.outcome")],
    ),
    "conversions taken back": (
        on_outcomes(
            lambda t: also(
                t,
                t[(t["outcome"] == "converted") & some(len(t), 3)].assign(
                    outcome="lost",
                    deal_value=np.nan,
                    currency=None,
                    outcome_at=lambda b: b["outcome_at"] + pd.Timedelta(seconds=1),
                    known_at=lambda b: b["known_at"] + pd.Timedelta(seconds=1),
                ),
            )
        ),
        [("conversions taken back", "raw_outcomes.outcome")],
    ),
    "hours that moved": (
        lambda w: w.plant(leads=shifted(w.leads, "created_at", -4)),
        [("shifted time zone", "raw_leads.created_at")],
    ),
    "leads without a time of day": (
        on_leads(created_at=lambda t: t["created_at"].dt.floor("D")),
        [("dates without times", "raw_leads.created_at")],
    ),
    "leads at midnight of another zone": (
        on_leads(created_at=lambda t: t["created_at"].dt.floor("D") - pd.Timedelta(hours=4)),
        [("dates without times", "raw_leads.created_at")],
    ),
    "a lead under two ids": (
        lambda w: w.plant(
            leads=also(w.leads, w.leads[some(len(w.leads), 50)].assign(lead_id=lambda t: t["lead_id"] + "-again"))
        ),
        [("same lead under several ids", "raw_leads")],
    ),
    "an id of two leads": (
        lambda w: w.plant(leads=also(w.leads, w.leads[some(len(w.leads), 900)].assign(age=44, score=1.0))),
        [("id of several leads", "raw_leads.lead_id")],
    ),
    "currencies mixed": (
        on_outcomes(lambda t: t.assign(currency=t["currency"].mask(t["currency"].notna() & some(len(t), 9), "USD"))),
        [("currencies", "raw_outcomes.currency")],
    ),
    "another currency": (
        lambda w: w.plant(settings=settings_with(currency="EUR")),
        [("currencies", "raw_outcomes.currency")],
    ),
    "hardly any conversion arrives": (
        on_outcomes(lambda t: t[(t["outcome"] != "converted") | some(len(t), 40)]),
        [
            ("conversion rate", "labels"),
            ("training minimum", "training.minimum_positives"),
            ("training minimum", "training.minimum_holdout_positives"),
        ],
    ),
    "a window that is too short": (
        lambda w: w.plant(settings=settings_with(labels={"conversion_window_days": 3})),
        [("conversion window", "labels")],
    ),
    "more conversions asked for than ever come": (
        lambda w: w.plant(settings=settings_with(training={**SETTINGS["training"], "minimum_positives": 5000})),
        [("training minimum", "training.minimum_positives")],
    ),
    "a month that was left out": (
        lambda w: w.plant(leads=w.leads[w.leads["created_at"].dt.strftime("%Y-%m") != "2024-03"]),
        [("months without leads", "raw_leads")],
    ),
    "a month with a quarter of its leads": (
        lambda w: w.plant(
            leads=w.leads[(w.leads["created_at"].dt.strftime("%Y-%m") != "2024-03") | some(len(w.leads), 5)]
        ),
        [("volume jumps", "raw_leads")],
    ),
    "a missing column": (
        lambda w: w.plant(leads=w.leads.drop(columns="region")),
        [("missing column", "raw_leads.region"), ("missing values", "raw_leads.region")],
    ),
}  # fmt: skip
BY_THE_WAY = {
    # Whoever leaves leads out makes orphans of what belongs to them.
    "a month that was left out": {"outcomes of unknown leads", "activities of unknown leads"},
    "a month with a quarter of its leads": {"outcomes of unknown leads", "activities of unknown leads"},
    "an id of two leads": {"contradictory outcomes"},
    "every number beyond its bounds": {"stand-in for a missing value"},
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found_and_named_and_nothing_else(world: World, fault: str) -> None:
    plant, expected = PLANTED[fault]
    diagnoses = plant(world).examine()
    found = [each for each in faults(diagnoses) if each[0] not in BY_THE_WAY.get(fault, ())]
    assert sorted(found) == sorted(expected)
    for told in diagnoses:
        assert told.sentence
        assert bool(told.remedy) == (told.severity != "ok"), told
        assert all(np.isfinite(value) for value in told.numbers.values()), told


def test_several_faults_are_all_named_worst_first(world: World) -> None:
    names = ["a number beyond its bounds", "formulas", "outcomes of unknown leads", "a fifth missing"]
    broken = world
    for name in names:
        broken = PLANTED[name][0](broken)
    diagnoses = broken.examine()
    assert sorted(faults(diagnoses)) == sorted(fault for name in names for fault in PLANTED[name][1])
    severities = [told.severity for told in diagnoses]
    assert severities == sorted(severities, key=["problem", "warning", "ok"].index)


def test_a_leak_is_told_with_its_interval(world: World) -> None:
    told = only(PLANTED["a number that ranks the outcome"][0](world).examine(), "leak suspect")
    assert 0.9 < told.numbers["low"] < told.numbers["auc"] == pytest.approx(0.998, abs=0.01)
    assert told.severity == "problem"
    assert "role: forbidden" in told.remedy


def test_small_groups_of_chance_are_no_leak() -> None:
    """A conversion rate that holds the lead's own label ranks well whatever the groups are; the other half's does not."""
    draw = np.random.default_rng(1)
    codes, labels, fold = draw.integers(0, 300, 600), (draw.random(600) < 0.12).astype(float), draw.integers(0, 2, 600)
    own = (np.bincount(codes, weights=labels) / np.maximum(np.bincount(codes), 1))[codes]
    assert auc(labels, own).low > 0.9
    fair = auc(labels, cross_fitted(codes, labels, fold))
    assert fair.low < 0.5 < fair.high


@pytest.mark.parametrize("hours", [-11, -8, -4, -2, 3, 6, 12])
def test_a_shift_is_told_with_its_hours_and_month(world: World, hours: int) -> None:
    frame = shifted(world.activities, "occurred_at", hours)
    # Known when the year was over, so that nothing lies in the future.
    told = only(world.plant(activities=frame.assign(known_at=AS_OF)).examine(), "shifted time zone")
    assert told.subject == "raw_activities.occurred_at"
    assert told.numbers["hours"] == hours
    assert "from 2024-08 on" in told.sentence


@pytest.mark.parametrize("hours", range(-11, 13))
def test_counts_that_moved_as_a_whole_give_their_hours_but_one_hour_is_summer_time(hours: int) -> None:
    counts = (RHYTHM * 640_000).astype(np.int64)
    assert hour_shift(counts, np.roll(counts, hours)) == (0 if abs(hours) == 1 else hours)


def test_a_rhythm_without_a_peak_has_no_hour_to_move() -> None:
    draw = np.random.default_rng(1)
    months = [np.bincount(draw.integers(0, 24, 400), minlength=24) for _ in range(200)]
    assert {hour_shift(*pair) for pair in pairwise(months)} == {0}


def test_people_who_begin_to_work_late_did_not_shift_the_clock() -> None:
    """A change of shape is no shift: the mean hour moves by hours, and no turn of the clock makes the months alike."""
    counts = (RHYTHM * 64_000).astype(np.int64)
    late = counts // 2
    late[20:24] += counts.sum() // 8
    assert hour_shift(counts, late) == 0


def test_too_few_conversions_are_told_with_the_days_that_are_missing() -> None:
    young = clean_world(3, months=14)
    begun = young.leads["created_at"] >= pd.Timestamp("2024-11-01", tz="UTC")
    kept = young.leads[begun]
    asked = {
        "minimum_rows": 500,
        "minimum_positives": 200,
        "minimum_holdout_rows": 100,
        "minimum_holdout_positives": 10,
    }
    world = young.plant(
        leads=kept,
        outcomes=young.outcomes[young.outcomes["lead_id"].isin(kept["lead_id"])],
        activities=young.activities[young.activities["lead_id"].isin(kept["lead_id"])],
        settings=settings_with(training=asked),
    )
    diagnoses = world.examine()
    assert sorted(faults(diagnoses)) == [
        ("training history", "training.window_months"),
        ("training minimum", "training.minimum_positives"),
    ]
    told = only(diagnoses, "training minimum")
    assert told.severity == "warning"
    missing = 200 - told.numbers["have"]
    assert told.numbers["days_more"] == np.ceil(missing / (told.numbers["last_90_days"] / 90))


def test_immature_leads_are_left_out_and_counted(world: World) -> None:
    """The newest month's leads convert as well as any; read as not converted, they would pull the rate down."""
    young = world.leads["created_at"] > pd.Timestamp(AS_OF - timedelta(days=30))
    told = {diagnosis.name: diagnosis for diagnosis in world.examine()}["conversion rate"]
    assert told.numbers["immature"] == int(young.sum())
    labels = world.outcomes.merge(world.leads[~young], on="lead_id", suffixes=("", "_lead"))
    in_time = (labels["outcome"] == "converted") & (
        labels["outcome_at"] <= labels["created_at"] + pd.Timedelta(days=30)
    )
    assert told.numbers["converted"] == int(in_time.sum())


def test_late_conversions_are_counted_only_where_they_could_be_seen(world: World) -> None:
    """Of a lead that is one window old no late conversion can have come: it would make them look rare."""
    told = {diagnosis.name: diagnosis for diagnosis in world.examine()}["conversion window"]
    joined = world.outcomes[world.outcomes["outcome"] == "converted"].merge(world.leads, on="lead_id")
    old = joined[joined["created_at"] <= pd.Timestamp(AS_OF - timedelta(days=60))]
    late = old["outcome_at"] > old["created_at"] + pd.Timedelta(days=30)
    assert told.numbers["conversions"] == len(old) < len(joined)
    assert told.numbers["late"] == late.mean() > 0


def test_a_lead_is_judged_as_it_was_first_known_and_its_outcome_as_it_is_now(world: World) -> None:
    """A value that a correction brings after the outcome is not seen by training, and is no leak."""
    first = world.leads.assign(version=1, score=50 + noise(world))
    corrected = first[converted(world)].assign(version=2, score=1000.0, known_at=AS_OF)
    once = world.outcomes.assign(version=1)
    is_won = once["outcome"] == "converted"
    again = once[is_won].assign(version=2, deal_value=lambda t: t["deal_value"] * 2, known_at=AS_OF)
    versions = world.plant(
        leads=also(first, corrected),
        outcomes=also(once.assign(outcome=once["outcome"].mask(is_won, "no_response")), again),
        activities=world.activities.assign(version=1),
    )
    diagnoses = versions.examine()
    assert faults(diagnoses) == []
    told = {diagnosis.name: diagnosis for diagnosis in diagnoses}
    plain = {diagnosis.name: diagnosis for diagnosis in world.examine()}
    assert told["conversion rate"].numbers == plain["conversion rate"].numbers


def test_what_was_not_known_yet_does_not_count(world: World) -> None:
    early = pd.Timestamp("2024-09-01", tz="UTC")
    frames = {name: getattr(world, name) for name in ("leads", "outcomes", "activities")}
    until = world.plant(**{name: frame[frame["known_at"] <= early] for name, frame in frames.items()})
    told = examine(*world.tables(), world.settings, as_of=early.to_pydatetime())
    assert told == examine(*until.tables(), world.settings, as_of=early.to_pydatetime())
    assert told != world.examine()


def test_the_same_question_gives_the_same_answer_and_a_sample_the_same_suspects(world: World) -> None:
    broken = PLANTED["a number that ranks the outcome"][0](PLANTED["9999 for not there"][0](world))
    assert broken.examine() == broken.examine()
    told = examine(*broken.tables(), broken.settings, as_of=AS_OF, sample_rows=1500)
    assert faults(told) == faults(broken.examine())
    leak = only(told, "leak suspect")
    assert 1000 < leak.numbers["rows"] < 2000


def test_odd_column_names_are_only_names(world: World) -> None:
    columns = {name: {**A_FEATURE, "kind": "category", "categories": ["a", name]} for name in ODD_NAMES}
    constant = world.leads.assign(**dict.fromkeys(ODD_NAMES, "a"))
    odd = world.plant(leads=constant, settings=settings_with(columns=columns))
    found = odd.examine()
    assert faults(found) == [("constant column", f"raw_leads.{name}") for name in ODD_NAMES]
    for name in ODD_NAMES:
        assert f"raw_leads.{name}: constant column" in render(found).plain
    telling = odd.plant(leads=constant.assign(**{name: np.where(converted(world), name, "a") for name in ODD_NAMES}))
    assert faults(telling.examine()) == [("leak suspect", f"raw_leads.{name}") for name in ODD_NAMES]


@pytest.mark.parametrize("words", ['a"; DROP TABLE sample; --', "it's", "[bold]", "x' OR '1'='1"])
def test_odd_categories_are_only_words(world: World, words: str) -> None:
    columns = {"x": {**A_FEATURE, "kind": "category", "categories": [words, "b"], "missing": ["b"]}}
    values = np.where(noise(world) > 0, words, "c")
    found = world.plant(leads=world.leads.assign(x=values), settings=settings_with(columns=columns)).examine()
    assert faults(found) == [("unseen category", "raw_leads.x")]


def empty(world: World) -> list[pa.Table]:
    registry = world.settings.registry
    return [arrow_schema(registry.columns(entity)).empty_table() for entity in ("leads", "outcomes", "activities")]


def test_empty_tables_say_so(world: World) -> None:
    leads, outcomes, activities = empty(world)
    told = examine(leads, outcomes, activities, world.settings, as_of=AS_OF)
    assert faults(told) == [("no leads", "raw_leads")]
    real = world.tables()
    assert faults(examine(real[0], real[1], None, world.settings, as_of=AS_OF)) == []
    for no_outcomes in (outcomes, None):
        told = examine(real[0], no_outcomes, activities, world.settings, as_of=AS_OF)
        assert [name for name, _ in faults(told)] == ["training minimum", "training minimum", "conversion rate"]
        unsaid = {each.name: each.sentence for each in told if each.sentence.startswith(INSUFFICIENT)}
        assert set(unsaid) >= {"leak suspect", "conversion window"}
        assert unsaid["leak suspect"].startswith(f"{INSUFFICIENT}: 0 conversions among ")


def test_one_row_is_enough_to_say_that_it_is_too_little(world: World) -> None:
    leads, outcomes, _ = (table.slice(0, 1) for table in world.tables())
    told = examine(leads, outcomes, None, world.settings, as_of=AS_OF)
    unsaid = {each.name for each in told if each.sentence.startswith(INSUFFICIENT)}
    assert {"shape of features", "leak suspect", "conversion rate", "conversion window"} <= unsaid
    assert {name for name, _ in faults(told)} <= {"training minimum", "training history", "outcomes of unknown leads"}


@pytest.mark.parametrize("kind", ["null", "typed"])
def test_columns_of_nothing_are_found_and_nothing_stumbles(kind: str) -> None:
    world = clean_world(7, 20)
    for entity, frame in (("leads", world.leads), ("outcomes", world.outcomes), ("activities", world.activities)):
        for name, column in world.settings.registry.columns(entity).items():  # type: ignore[arg-type]
            table = pa.Table.from_pandas(frame, preserve_index=False)
            if name not in table.column_names:
                continue
            place, n = table.column_names.index(name), table.num_rows
            typed = arrow_schema({name: column}).field(0).type if kind == "typed" else pa.null()
            hollow = table.set_column(place, name, pa.nulls(n, typed))
            given_ = {
                "leads": pa.Table.from_pandas(world.leads, preserve_index=False),
                "outcomes": pa.Table.from_pandas(world.outcomes, preserve_index=False),
                "activities": None,
                entity: hollow,
            }
            told = examine(given_["leads"], given_["outcomes"], given_["activities"], world.settings, as_of=AS_OF)
            assert told
            if entity == "leads" and column.role == "feature":
                assert ("missing values", f"raw_leads.{name}") in faults(told)


CELLS = {
    "integer": st.none() | st.integers(-(2**53) + 1, 2**53 - 1) | st.integers(0, 3),
    "number": st.none() | st.floats(),
    "category": st.none() | st.sampled_from([*REGIONS, "=x", "'", "\x1b[2J"]),
    "text": st.none() | st.text(max_size=3) | st.sampled_from(["l1", "l2", "l3"]),
    "timestamp": st.none() | st.datetimes(pd.Timestamp("1990-01-01").to_pydatetime(), pd.Timestamp("2100-01-01").to_pydatetime()),
}  # fmt: skip


@effort(max_examples=30)
@given(st.data())
def test_no_table_makes_it_stumble(data: st.DataObject) -> None:
    settings = settings_with()
    tables = []
    for entity in ("leads", "outcomes", "activities"):
        columns = settings.registry.columns(entity)  # type: ignore[arg-type]
        n = data.draw(st.integers(0, 70), label=entity)
        cells = {
            name: data.draw(st.lists(CELLS[column.kind], min_size=min(n, 4), max_size=min(n, 4)), label=name)
            for name, column in columns.items()
        }
        rows = {name: (values * n)[:n] for name, values in cells.items()}
        tables.append(pa.table(rows, schema=arrow_schema(columns)))
    told = examine(*tables, settings, as_of=AS_OF)
    assert told
    assert "\x1b" not in render(told, all_of_them=True).plain
    for each in told:
        assert bool(each.remedy) == (each.severity != "ok"), each


def test_the_page_tells_what_to_do_and_counts_the_rest(world: World) -> None:
    broken = PLANTED["formulas"][0](PLANTED["a number beyond its bounds"][0](world))
    diagnoses = broken.examine()
    page = render(diagnoses).plain
    assert page.startswith("problem raw_leads.age: number outside its range\n")
    assert "→ check the unit of age, or widen minimum and maximum in lead_scoring.yaml.\n" in page
    assert "every id names one lead" not in page
    well = len(diagnoses) - 2
    silent = sum(each.sentence.startswith(INSUFFICIENT) for each in diagnoses)
    assert page.splitlines()[-1].startswith(f"1 problems, 1 warnings, {well - silent} questions are well")
    assert "every id names one lead" in render(diagnoses, all_of_them=True).plain
