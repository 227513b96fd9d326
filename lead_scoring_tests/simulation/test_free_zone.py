"""The simulated free zone's files: the same bytes however they are landed, true to the truth, and without it."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lead_scoring_assets.contracts.columns import EVENT_TIMES
from lead_scoring_assets.contracts.validation import validate
from lead_scoring_assets.errors import SettingsError, SourceError
from lead_scoring_assets.settings import Settings, parse_settings
from lead_scoring_assets.simulation import world as worlds
from lead_scoring_assets.simulation.export_faults import ENTITIES
from lead_scoring_assets.simulation.export_files import FORMATS, Format
from lead_scoring_assets.simulation.free_zone import FreeZoneCrm, Slice
from lead_scoring_assets.simulation.world import EFFECTS, Effect, World
from lead_scoring_tests.simulation.free_zones import files_of, land_all, slices, texts, truth_of, zone

START = date(2022, 1, 1)
# A change on the way, so that the truth has something to say about it.
WORLD = World(seed=7, leads_a_month=600, planted={"ad_campaign": Effect(date(2022, 3, 1), 0.4)})
MONTHS = slices(START, date(2022, 6, 1))


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zone")
    land_all(zone(folder, WORLD, MONTHS))
    return folder


@pytest.fixture(scope="module")
def shipped() -> Settings:
    path = Path(worlds.__file__).with_name("free_zone.yaml")
    return parse_settings(path.read_text(encoding="utf-8"), str(path))


def moments(frame: pd.DataFrame, column: str) -> "pd.Series[pd.Timestamp]":
    return pd.to_datetime(frame[column], utc=True, format="ISO8601")


# --- The same world, however it is landed


def test_same_seed_same_bytes_whatever_the_order_of_landing(landed: Path, tmp_path: Path) -> None:
    crm = zone(tmp_path, WORLD, MONTHS)
    for period in reversed(crm.periods()):
        crm.land(period)
    assert files_of(tmp_path) == files_of(landed)


def test_a_new_object_goes_on_where_another_stopped(landed: Path, tmp_path: Path) -> None:
    for period in [key for key, _, _ in MONTHS]:
        zone(tmp_path, WORLD, MONTHS).land(period)
    assert files_of(tmp_path) == files_of(landed)


def test_a_longer_calendar_leaves_earlier_periods_as_they_are(landed: Path, tmp_path: Path) -> None:
    land_all(zone(tmp_path, WORLD, MONTHS[:2]))
    before = files_of(landed)
    assert files_of(tmp_path).items() <= before.items()


def test_another_seed_is_another_world(landed: Path, tmp_path: Path) -> None:
    land_all(zone(tmp_path, World(seed=8, leads_a_month=600), MONTHS[:1]))
    for name, content in files_of(tmp_path).items():
        assert content != files_of(landed)[name], name


@pytest.mark.parametrize("cadence", ["day", "week"])
def test_days_and_weeks_together_hold_what_months_hold(cadence: str, landed: Path, tmp_path: Path) -> None:
    start, end = date(2022, 1, 1), date(2022, 3, 1)
    if cadence == "week":
        # A Monday that begins a month, and another one.
        start, end = date(2022, 8, 1), date(2022, 10, 31)
    whole = tmp_path / "months"
    land_all(zone(whole, WORLD, slices(start, date(2022, 11, 1) if cadence == "week" else end)))
    land_all(zone(tmp_path / "parts", WORLD, slices(start, end, cadence)))  # type: ignore[arg-type]
    for entity in ENTITIES:
        months, parts = (texts(tmp_path / each, entity).drop(columns="period") for each in ("months", "parts"))
        assert len(parts) > 0
        if cadence == "week":
            months = months[moments(months, "known_at") <= pd.Timestamp(end, tz="UTC")]
        pd.testing.assert_frame_equal(parts, months)


@pytest.mark.parametrize("file_format", FORMATS)
def test_landing_twice_gives_the_same_bytes_in_every_format(file_format: Format, tmp_path: Path) -> None:
    crm = zone(tmp_path, WORLD, MONTHS[:2], file_format=file_format)
    paths = crm.land("2022-02")
    first = files_of(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in paths] == [
        f"landing/{entity}/2022-02/free-zone-2022-02.{file_format}" for entity in ENTITIES
    ]
    crm.land("2022-02")
    assert files_of(tmp_path) == first


@pytest.mark.parametrize("file_format", [each for each in FORMATS if each != "csv"])
def test_every_format_holds_the_same_rows(file_format: Format, landed: Path, tmp_path: Path) -> None:
    zone(tmp_path, WORLD, MONTHS, file_format=file_format).land("2022-02")
    # A column of yes and no is no boolean.
    csv = ("read_csv", ", auto_type_candidates = ['BIGINT', 'TIMESTAMPTZ', 'VARCHAR']")
    reader = {"csv.gz": csv, "parquet": ("read_parquet", ""), "jsonl": ("read_json", "")}[file_format]
    for entity in ENTITIES:
        expected, found = (
            duckdb.sql(f"SELECT * FROM {function}('{folder}/landing/{entity}/2022-02/*'{options})").df()
            for (function, options), folder in ((csv, landed), (reader, tmp_path))
        )
        for column in [name for name in expected if name.endswith("_at")]:
            expected[column], found[column] = (pd.to_datetime(each[column], utc=True) for each in (expected, found))
        pd.testing.assert_frame_equal(found, expected, check_dtype=False)


# --- Time


def test_every_row_is_known_in_its_period_and_never_before_it_happened(landed: Path) -> None:
    bounds = {key: (start, end) for key, start, end in MONTHS}
    for entity in ENTITIES:
        rows = texts(landed, entity)
        known = moments(rows, "known_at")
        assert known.gt(rows["period"].map(lambda key: bounds[key][0])).all()
        assert known.le(rows["period"].map(lambda key: bounds[key][1])).all()
        assert known.gt(moments(rows, EVENT_TIMES[entity])).all()
        # Exported every night, at midnight in Dubai.
        assert rows["known_at"].str.endswith("T00:00:00+04:00").all()
        assert rows[EVENT_TIMES[entity]].str.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+04:00").all()


def test_activities_are_known_with_their_lead_or_later_and_have_ids_of_their_own(landed: Path) -> None:
    leads, activities = texts(landed, "leads"), texts(landed, "activities")
    first_known = moments(leads, "known_at").groupby(leads["lead_id"]).min()
    lead_known = activities["lead_id"].map(first_known)
    assert lead_known.notna().all()
    assert moments(activities, "known_at").ge(lead_known).all()
    assert activities["activity_id"].is_unique
    before = moments(activities, "occurred_at") < activities["lead_id"].map(
        moments(leads, "created_at").groupby(leads["lead_id"]).first()
    )
    assert before.mean() == pytest.approx(0.5, abs=0.1)


def test_some_rows_become_known_later_than_the_night_they_happened(landed: Path) -> None:
    for entity, share in (("activities", 0.01), ("outcomes", 0.05)):
        rows = texts(landed, entity)
        days = (moments(rows, "known_at") - moments(rows, EVENT_TIMES[entity])).dt.days
        if entity == "activities":
            leads = texts(landed, "leads").drop_duplicates("lead_id").set_index("lead_id")
            created = rows["lead_id"].map(moments(leads, "created_at"))
            days = days[moments(rows, "occurred_at") > created + pd.Timedelta(days=12)]
        error = 4 * np.sqrt(share * (1 - share) / len(days))
        assert days.gt(0).mean() == pytest.approx(share, abs=error)


def test_a_lead_that_comes_again_has_its_company_size_filled_in_and_nothing_else_changed(landed: Path) -> None:
    leads = texts(landed, "leads")
    again = leads[leads["lead_id"].duplicated()].set_index("lead_id")
    first = leads.drop_duplicates("lead_id").set_index("lead_id").loc[again.index]
    assert len(again) > 100
    assert first["company_size"].eq("").all()
    assert again["company_size"].ne("").all()
    assert moments(again, "known_at").gt(moments(first, "known_at")).all()
    same = [name for name in leads if name not in ("lead_id", "company_size", "known_at", "period")]
    pd.testing.assert_frame_equal(again[same], first[same])


# --- Truth


def test_outcomes_that_landed_are_those_of_the_truth(landed: Path) -> None:
    truth, outcomes = truth_of(landed).set_index("lead_id"), texts(landed, "outcomes")
    assert truth.index.is_unique
    end = pd.Timestamp(MONTHS[-1][2])
    first = outcomes.drop_duplicates("lead_id").set_index("lead_id")
    told = truth.loc[first.index]
    assert told["is_reported"].all()
    assert first["outcome"].eq(told["outcome"]).all()
    assert moments(first, "outcome_at").eq(told["outcome_at"]).all()
    deals = first["outcome"].eq("converted") & told["final_outcome"].eq("converted")
    assert first.loc[deals, "deal_value"].astype(float).eq(told.loc[deals, "deal_value"]).all()
    # And none that had to land by then is missing: the latest reports come five days late.
    due = truth[truth["is_reported"] & (truth["outcome_at"] < end - pd.Timedelta(days=7))]
    assert set(due.index) <= set(first.index)
    assert not truth["is_reported"].all()


def test_corrections_take_back_what_was_said_and_the_truth_has_the_last_word(landed: Path) -> None:
    truth, outcomes = truth_of(landed).set_index("lead_id"), texts(landed, "outcomes")
    later = outcomes[outcomes["lead_id"].duplicated()].set_index("lead_id")
    told = truth.loc[later.index]
    assert len(later) > 10
    assert later["outcome"].eq(told["final_outcome"]).all()
    pairs = set(zip(told["outcome"], later["outcome"], strict=True))
    assert pairs == {("lost", "converted"), ("converted", "disqualified"), ("no_response", "open")}
    assert later["deal_value"].ne("").eq(later["outcome"].eq("converted")).all()


def test_each_worked_lead_and_no_other_has_a_first_contact_when_and_by_whom_the_truth_says(landed: Path) -> None:
    truth, activities = truth_of(landed).set_index("lead_id"), texts(landed, "activities")
    contacts = activities[activities["detail"] == "first contact"].set_index("lead_id")
    assert contacts["activity_type"].eq("call").all()
    told = truth.loc[contacts.index]
    assert told["is_worked"].all()
    assert contacts["rep"].eq(told["rep"]).all()
    assert moments(contacts, "occurred_at").eq(told["worked_at"]).all()
    end = pd.Timestamp(MONTHS[-1][2])
    due = truth[truth["is_worked"] & (truth["worked_at"] < end - pd.Timedelta(days=9))]
    assert set(due.index) <= set(contacts.index)


def test_a_lead_converts_if_its_draw_is_below_its_chance_as_it_was_handled(landed: Path) -> None:
    truth = truth_of(landed)
    assert truth["outcome"].eq("converted").eq(truth["chance"] < truth["p_as_handled"]).all()
    assert truth["would_convert_if_worked"].eq(truth["chance"] < truth["p_if_worked"]).all()
    given_up = truth[~truth["is_worked"]]
    assert given_up["p_as_handled"].eq(given_up["p_if_not_worked"]).all()
    assert truth["p_as_handled"].between(truth["p_if_not_worked"], truth["p_if_worked"]).all()
    in_campaign = truth["created_at"] >= pd.Timestamp("2022-03-01", tz="Asia/Dubai")
    assert truth["planted_ad_campaign"].eq(in_campaign).all()
    assert not truth["planted_fee_change"].any()


def test_every_lead_is_decided_exactly_once_within_its_patience(landed: Path) -> None:
    truth, leads = truth_of(landed), texts(landed, "leads")
    end = pd.Timestamp(MONTHS[-1][2])
    due = leads[moments(leads, "known_at") < end - pd.Timedelta(days=WORLD.patience_days + 1)]
    assert truth["lead_id"].is_unique
    assert set(due["lead_id"]) <= set(truth["lead_id"]) <= set(leads["lead_id"])


def test_no_truth_lies_in_the_landing_folder(landed: Path) -> None:
    assert {path.name for path in (landed / "landing").iterdir()} == set(ENTITIES)
    only_truth = set(truth_of(landed)) - set(texts(landed, "leads")) - set(texts(landed, "outcomes"))
    assert {"intent", "chance", "p_if_worked", "segment", "true_company_size", "final_outcome"} <= only_truth
    for entity in ENTITIES:
        assert not only_truth & set(texts(landed, entity))
    sizes = truth_of(landed).set_index("lead_id")["true_company_size"]
    leads = texts(landed, "leads").drop_duplicates("lead_id")
    missing = leads[leads["company_size"] == ""]
    assert len(missing) > 100
    assert sizes.reindex(missing["lead_id"]).gt(0).sum() > 100


def test_everything_says_that_it_is_simulated(landed: Path) -> None:
    assert set(texts(landed, "leads")["provenance"]) == {"simulated"}
    assert set(texts(landed, "outcomes")["provenance"]) == {"simulated"}
    assert set(truth_of(landed)["provenance"]) == {"simulated"}
    told = json.loads((landed / "truth" / "world.json").read_text(encoding="utf-8"))
    assert told["provenance"] == "simulated"
    assert told["world"]["planted"] == {"ad_campaign": {"start": "2022-03-01", "strength": 0.4}}


# --- The shipped settings


def test_the_shipped_settings_describe_a_world_and_every_landed_row_keeps_their_contract(
    landed: Path, shipped: Settings
) -> None:
    world = World.of(shipped.simulated.model_dump())
    assert (world.seed, world.leads_a_month, set(world.planted)) == (222, 2_000, {"ad_campaign", "fee_change"})
    assert shipped.crm == "simulated"
    assert shipped.currency == "AED"
    asked = {"engagement_score", "website_visits", "email_opens", "days_since_first_contact", "company_size"}
    assert asked | {"lead_source", "industry", "region", "job_title"} <= set(shipped.registry.features)
    for entity in ENTITIES:
        rows = texts(landed, entity).drop(columns="period")
        columns = shipped.registry.columns(entity)
        assert set(rows) <= set(columns)
        read = pa.Table.from_pandas(rows, preserve_index=False)
        checked = validate(read.append_column("source_line", pa.array(range(len(rows)))), columns)
        assert checked.reasons.to_pylist() == []
        assert checked.accepted.num_rows == len(rows)


def test_planted_changes_of_the_shipped_world_begin_in_the_last_third_of_its_history(shipped: Settings) -> None:
    calendar = shipped.calendar
    assert shipped.periods.history_until is not None
    history = calendar.period(shipped.periods.history_until).end - calendar.start
    for planted in shipped.simulated.planted.values():
        assert 0.6 < (planted.start - calendar.start.date()) / history < 1


def test_settings_and_world_name_the_same_effects_and_defaults() -> None:
    section = Settings.model_fields["simulated"].default
    assert World.of(section.model_dump()) == World()
    every = {name: {"start": "2022-05-01", "strength": 0.5} for name in EFFECTS}
    assert set(World.of(type(section).model_validate({"planted": every}).model_dump()).planted) == set(EFFECTS)
    with pytest.raises(ValueError, match="gold_rush"):
        type(section).model_validate({"planted": {"gold_rush": every["ad_campaign"]}})


# --- The interface of a source


def test_periods_land_one_after_the_other_until_none_is_left(tmp_path: Path) -> None:
    crm = zone(tmp_path, World(leads_a_month=30), MONTHS)
    assert crm.landed_periods() == []
    landed = []
    while (period := crm.next_period()) is not None:
        crm.land(period)
        landed.append(period)
    assert landed == crm.periods() == crm.landed_periods() == [key for key, _, _ in MONTHS]


def test_a_period_with_two_files_of_three_has_not_landed(tmp_path: Path) -> None:
    crm = zone(tmp_path, World(leads_a_month=30), MONTHS)
    crm.land("2022-01")[1].unlink()
    assert crm.landed_periods() == []
    assert crm.next_period() == "2022-01"


def test_an_empty_period_lands_its_headers(tmp_path: Path) -> None:
    crm = zone(tmp_path, World(leads_a_month=1), slices(START, date(2022, 1, 2), "day"))
    for path in crm.land("2022-01-01"):
        assert path.read_bytes().count(b"\n") == 1


@pytest.mark.parametrize("period", ["2022-06", "2021-12", "2022-1", "../2022-01", ""])
def test_a_period_that_the_calendar_does_not_have_is_refused(period: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="from 2022-01 to 2022-05; found"):
        zone(tmp_path, WORLD, MONTHS).land(period)
    assert files_of(tmp_path) == {}


def test_two_worlds_are_not_mixed_in_one_folder(tmp_path: Path) -> None:
    zone(tmp_path, World(leads_a_month=30), MONTHS).land("2022-01")
    before = files_of(tmp_path)
    with pytest.raises(SettingsError, match=r"another one.*world\.json.*begin again"):
        zone(tmp_path, World(leads_a_month=31), MONTHS).land("2022-02")
    assert files_of(tmp_path) == before


def test_a_landing_that_fails_leaves_no_part_of_a_file_and_can_be_repeated(landed: Path, tmp_path: Path) -> None:
    crm = zone(tmp_path, WORLD, MONTHS)
    crm.land("2022-01")
    blocked = tmp_path / "landing" / "outcomes" / "2022-02"
    blocked.write_text("in the way")
    with pytest.raises(OSError, match="2022-02"):
        crm.land("2022-02")
    assert not [path for path in tmp_path.rglob("*") if "2022-02" in path.name and path.is_file() and path != blocked]
    blocked.unlink()
    for period in crm.periods()[1:]:
        crm.land(period)
    assert files_of(tmp_path) == files_of(landed)


@pytest.mark.parametrize(
    ("calendar", "said"),
    [
        ([], "at least one period; found none"),
        ([MONTHS[0], MONTHS[2]], "2022-03 to start at 2022-02-01"),
        ([("x", MONTHS[0][1].replace(hour=4), MONTHS[0][2])], "begin and end at midnight UTC; found 2022-01-01 04"),
        ([("x", MONTHS[0][2], MONTHS[0][1])], "to end after its start"),
    ],
)
def test_a_calendar_that_cannot_be_lived_is_refused(calendar: list[Slice], said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=said):
        zone(tmp_path, WORLD, calendar)


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"csv, csv\.gz, parquet, jsonl; found 'xlsx'"):
        zone(tmp_path, WORLD, MONTHS, file_format="xlsx")  # type: ignore[arg-type]


# --- Scores from outside


def test_scores_change_who_is_worked_from_then_on_and_landing_again_gives_the_same_bytes(
    landed: Path, tmp_path: Path
) -> None:
    crm = zone(tmp_path, WORLD, MONTHS)
    crm.land("2022-01")
    before = files_of(tmp_path)
    # Upside down: what the existing process likes most gets least.
    leads = texts(landed, "leads", "2022-02").drop_duplicates("lead_id")
    sources = leads.set_index("lead_id")["lead_source"]
    liked = sources.isin(["referral", "partner", "whatsapp"])
    crm.use_scores({str(lead): 0.0 if like else 1.0 for lead, like in liked.items()})
    crm.land("2022-02")
    with_scores = files_of(tmp_path)
    truth = truth_of(tmp_path).set_index("lead_id")["is_worked"]
    share = truth.groupby(liked.reindex(truth.index)).mean()
    usual = truth_of(landed).set_index("lead_id")["is_worked"].reindex(truth.index).groupby(liked).mean()
    assert share[False] - share[True] > 0.3
    assert usual[True] - usual[False] > 0.2
    assert {name: with_scores[name] for name in before} == before
    crm.land("2022-01")
    crm.land("2022-02")
    assert files_of(tmp_path) == with_scores


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ({"lead-1": 0.5}, "found 'lead-1'"),
        ({"fz-20220101000001": 1.2}, "from 0 to 1; found 1.2"),
        ({"fz-20220101000001": float("nan")}, "from 0 to 1; found nan"),
    ],
)
def test_scores_that_cannot_be_are_refused(scores: dict[str, float], said: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=said):
        zone(tmp_path, WORLD, MONTHS).use_scores(scores)


# --- Size

_LAND_AND_MEASURE = """
import resource, sys
from datetime import date
from pathlib import Path
from lead_scoring_assets.simulation.world import World
from lead_scoring_tests.simulation.free_zones import slices, zone
crm = zone(Path(sys.argv[1]), World(leads_a_month=12_000, seasonality=False), slices(date(2022, 1, 1), date(2022, 10, 1)))
for period in crm.periods():
    crm.land(period)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_periods(tmp_path: Path) -> None:
    """Once the longest waits are under way (three months), more periods need no more: 15 % for the allocators."""
    done = subprocess.run(
        [sys.executable, "-c", _LAND_AND_MEASURE, str(tmp_path)], capture_output=True, text=True, check=True
    )
    peaks_mib = [int(line) for line in done.stdout.split()]
    assert len(peaks_mib) == 9
    assert peaks_mib[-1] < 1.15 * peaks_mib[2]


def test_the_source_of_the_free_zone_has_the_interface_of_the_banks() -> None:
    from lead_scoring_assets.simulation.bank_crm import BankCrm

    for name in ("periods", "land", "landed_periods", "next_period"):
        assert callable(getattr(FreeZoneCrm, name))
        assert callable(getattr(BankCrm, name))
