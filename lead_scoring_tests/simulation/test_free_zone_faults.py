"""Faulty exports of the free zone: the stated share of rows is faulty, in the stated way, and the others are as ever."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lead_scoring_assets.contracts.columns import EVENT_TIMES
from lead_scoring_assets.errors import SettingsError
from lead_scoring_assets.simulation.export_faults import BAD_VALUES, ENTITIES, Entity, ExportFaults
from lead_scoring_assets.simulation.world import World
from lead_scoring_tests.simulation.free_zones import files_of, land_all, slices, texts, truth_of, zone

WORLD = World(seed=5, leads_a_month=900)
MONTHS = slices(date(2022, 1, 1), date(2022, 3, 1))
IDENTIFIER = {"leads": "lead_id", "activities": "activity_id", "outcomes": "lead_id"}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clean")
    land_all(zone(folder, WORLD, MONTHS))
    return folder


def landed_with(folder: Path, faults: ExportFaults) -> Path:
    land_all(zone(folder, WORLD, MONTHS, faults=faults))
    return folder


def near(share: float, rows: int) -> object:
    return pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / rows))


def test_without_any_fault_asked_for_the_export_is_the_clean_one(clean: Path, tmp_path: Path) -> None:
    assert files_of(landed_with(tmp_path, ExportFaults()) / "landing") == files_of(clean / "landing")


def test_duplicates_are_rows_that_stand_there_twice(clean: Path, tmp_path: Path) -> None:
    faulty = landed_with(tmp_path, ExportFaults(duplicate_share=0.1))
    for entity in ENTITIES:
        once, rows = texts(clean, entity), texts(faulty, entity)
        assert len(rows) / len(once) - 1 == near(0.1, len(once))
        pd.testing.assert_frame_equal(rows.drop_duplicates().reset_index(drop=True), once.drop_duplicates())


def test_bad_rows_hold_one_value_that_nobody_can_read(clean: Path, tmp_path: Path) -> None:
    faulty = landed_with(tmp_path, ExportFaults(bad_share=0.2))
    for entity in ENTITIES:
        before, after = texts(clean, entity), texts(faulty, entity)
        differs = before.ne(after)
        assert differs.sum(axis=1).max() == 1
        assert differs.any(axis=1).mean() == near(0.2, len(before))
        found = {
            (name, value) for name in before for value in after.loc[differs[name], name].unique() if differs[name].any()
        }
        assert found == {(name, value or "") for name, value in BAD_VALUES[entity]}


def test_a_wrong_clock_moves_event_times_of_some_rows(clean: Path, tmp_path: Path) -> None:
    faulty = landed_with(tmp_path, ExportFaults(skewed_share=0.3, skew_minutes=600))
    for entity in ENTITIES:
        before, after = texts(clean, entity), texts(faulty, entity)
        name = EVENT_TIMES[entity]
        moved = pd.to_datetime(after[name]) - pd.to_datetime(before[name])
        assert set(moved) == {pd.Timedelta(0), pd.Timedelta(minutes=600)}
        assert moved.gt(pd.Timedelta(0)).mean() == near(0.3, len(before))
        pd.testing.assert_frame_equal(after.drop(columns=name), before.drop(columns=name))
        # So some now claim to have been known before they happened.
        assert (pd.to_datetime(after["known_at"]) < pd.to_datetime(after[name])).any()


def test_a_change_of_zone_makes_local_times_look_like_utc_from_its_day_on(clean: Path, tmp_path: Path) -> None:
    faulty = landed_with(tmp_path, ExportFaults(zone_change=date(2022, 2, 10)))
    for entity in ENTITIES:
        before, after = texts(clean, entity), texts(faulty, entity)
        is_later = pd.to_datetime(before["known_at"]) > pd.Timestamp("2022-02-10", tz="Asia/Dubai")
        assert 0 < is_later.mean() < 1
        for name in ("known_at", EVENT_TIMES[entity]):
            expected = before[name].where(~is_later, before[name].str.replace("+04:00", "+00:00"))
            assert after[name].eq(expected).all()


def test_the_truth_knows_no_faults(clean: Path, tmp_path: Path) -> None:
    faults = ExportFaults(duplicate_share=0.2, bad_share=0.2, skewed_share=0.2, zone_change=date(2022, 1, 5))
    pd.testing.assert_frame_equal(truth_of(landed_with(tmp_path, faults)), truth_of(clean))


@pytest.mark.parametrize("file_format", ["parquet", "jsonl", "csv.gz"])
def test_faults_fit_into_every_format_and_are_the_same_each_time(file_format: str, tmp_path: Path) -> None:
    faults = ExportFaults(duplicate_share=0.2, bad_share=0.2, skewed_share=0.2, zone_change=date(2022, 1, 5))
    for name in ("one", "two"):
        crm = zone(tmp_path / name, WORLD, MONTHS[:1], file_format=file_format, faults=faults)  # type: ignore[arg-type]
        crm.land("2022-01")
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


@pytest.mark.parametrize("name", ["duplicate_share", "bad_share", "skewed_share"])
@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_cannot_be_is_refused(name: str, share: float) -> None:
    with pytest.raises(SettingsError, match=f"Expected {name} from 0 to 1; found {share}"):
        ExportFaults(**{name: share})  # type: ignore[arg-type]


@pytest.mark.parametrize("entity", ENTITIES)
def test_each_entity_has_its_own_event_time_and_bad_values(entity: Entity) -> None:
    assert {name for name, _ in BAD_VALUES[entity]} >= {IDENTIFIER[entity], EVENT_TIMES[entity]}
