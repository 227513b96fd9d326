"""Drift of an installation: the reference kept with the model, counts that add over periods, three tables from one step."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml

import lead_scoring_assets.definitions  # noqa: F401  # first, because it quiets dagster's warnings about beta parts
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.content_hash import content_hash
from lead_scoring_assets.lakehouse.io_manager import LakehouseIOManager
from lead_scoring_assets.monitoring.drift import kept_reference, quality
from lead_scoring_assets.monitoring.drift.assets import drift
from lead_scoring_assets.monitoring.drift.kept_counts import kept_counts
from lead_scoring_assets.monitoring.drift.measuring import MeasuredPeriod, measure_periods
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_assets.settings import SETTINGS_FILE, Home

ROOT = Path(__file__).resolve().parents[3]
TRAINED, FIRST, SECOND, THIRD = "2008-07", "2008-08", "2008-09", "2008-10"
Change = Callable[[pd.DataFrame], pd.DataFrame]


class World:
    """A home with a champion trained on 2,000 leads, and months of leads of the same kind unless a test changes them."""

    def __init__(self, root: Path, **drift: Any) -> None:
        root.mkdir()
        shipped = yaml.safe_load((ROOT / SETTINGS_FILE).read_text(encoding="utf-8"))
        shipped["drift"] |= {"segments": ["contact"], **drift}
        (root / SETTINGS_FILE).write_text(yaml.safe_dump(shipped, sort_keys=False), encoding="utf-8")
        self.home = Home(root)
        self.house = Installation(self.home)
        self.rng = np.random.default_rng(7)
        self.writes("training_set", TRAINED, 2_000, split="train")
        self.deploys(1, TRAINED)

    def deploys(self, version: int, period: str) -> None:
        end = self.home.settings.calendar.period(period).end
        Deployments(self.house.lakehouse).record(
            Deployment(version, end, period, f"m-{version}", f"f-{version}", "gate", "not worse")
        )

    def leads(self, n: int) -> pd.DataFrame:
        columns = self.home.settings.registry.features
        return pd.DataFrame(
            {
                name: self.rng.choice(column.categories, n)
                if column.categories
                else self.rng.integers(column.minimum or 0, (column.minimum or 0) + 40, n)
                for name, column in columns.items()
            }
        )

    def writes(self, table: str, period: str, n: int, change: Change = lambda frame: frame, **more: str) -> None:
        frame = change(self.leads(n)).assign(period=period, **more)
        self.house.lakehouse.replace_periods(table, [period], pa.Table.from_pandas(frame, preserve_index=False))

    def measures(self, *periods: str) -> list[MeasuredPeriod]:
        return measure_periods(Installation(self.home), [self.home.settings.calendar.period(key) for key in periods])

    def materialises(self, *periods: str) -> dg.ExecuteInProcessResult:
        installation = InstallationResource(root=str(self.home.root))
        tags = {
            "dagster/asset_partition_range_start": periods[0],
            "dagster/asset_partition_range_end": periods[-1],
        }
        return dg.materialize(
            [drift],
            resources={"installation": installation, "io_manager": LakehouseIOManager(installation=installation)},
            instance=dg.DagsterInstance.ephemeral(),
            tags=tags,
        )


@pytest.fixture
def new_world(tmp_path: Path) -> Callable[..., World]:
    return lambda **drift: World(tmp_path / "a home", **drift)


def older(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(age=frame["age"] + 30)


def statuses(found: MeasuredPeriod) -> dict[str, str]:
    return {drift.feature: drift.status for drift in found.window.features}


def test_a_change_is_told_in_the_feature_and_in_the_groups_where_it_sits(new_world: Callable[..., World]) -> None:
    world = new_world()
    cellular = lambda f: older(f).where(f["contact"] == "cellular", f)  # noqa: E731
    world.writes("lead_features", FIRST, 3_000)
    world.writes("lead_features", SECOND, 3_000, cellular)
    calm, changed = world.measures(FIRST, SECOND)
    assert set(statuses(calm).values()) == {"ok"}
    assert {feature for feature, status in statuses(changed).items() if status != "ok"} == {"age"}
    hit = {(each.group, each.drift.feature) for each in changed.window.segments if each.drift.status == "drift"}
    assert hit == {("cellular", "age")}
    assert "contact" not in {each.drift.feature for each in changed.window.segments}


def test_windows_are_sums_of_periods_kept_or_counted_again(new_world: Callable[..., World]) -> None:
    """Two months of 150 leads are judged together where one alone is too few."""
    world = new_world(window_periods=2)
    world.writes("lead_features", FIRST, 150)
    world.writes("lead_features", SECOND, 150)
    alone, together = world.measures(FIRST, SECOND)
    # July, where the calendar has no leads, adds none.
    assert set(statuses(alone).values()) == {"insufficient_data"}
    assert set(statuses(together).values()) == {"ok"}
    assert {drift.n_current for drift in together.window.features} == {300}
    assert world.materialises(FIRST, SECOND).success
    counted = kept_counts(world.house.lakehouse, together.reference.id, [FIRST])  # type: ignore[union-attr]
    assert counted == {FIRST: alone.counted}
    [again] = world.measures(SECOND)
    assert again.window == together.window


def test_windows_of_many_rows_are_told_by_their_bins(new_world: Callable[..., World]) -> None:
    world = new_world(exact_rows=400)
    world.writes("lead_features", FIRST, 400)
    world.writes("lead_features", SECOND, 401)
    few, many = (
        next(d for d in found.window.features if d.feature == "age") for found in world.measures(FIRST, SECOND)
    )
    assert few.ks_statistic is not None
    assert (many.status, many.ks_statistic, many.wasserstein_sd) == ("ok", None, None)
    assert many.psi is not None
    assert world.materialises(SECOND, SECOND).success
    rows = world.house.lakehouse.read("drift_metrics", periods=[SECOND]).to_pylist()
    [told] = [row for row in rows if (row["feature"], row["metric"], row["scope"]) == ("age", "ks", "feature")]
    assert told["status"] == "not_computable"
    assert "more than drift.exact_rows" in told["reason"]


def test_counts_of_another_reference_are_not_used(new_world: Callable[..., World]) -> None:
    world = new_world(window_periods=2)
    world.writes("lead_features", FIRST, 150)
    world.writes("lead_features", SECOND, 150)
    assert world.materialises(FIRST, FIRST).success
    world.writes("training_set", FIRST, 2_000, older, split="train")
    world.deploys(2, FIRST)
    [found] = world.measures(SECOND)
    assert found.champion.version == 2
    assert {drift.n_current for drift in found.window.features} == {300}
    assert statuses(found)["age"] == "drift"


def test_the_reference_is_kept_with_the_model_and_outlives_its_rows(new_world: Callable[..., World]) -> None:
    world = new_world()
    world.writes("lead_features", FIRST, 500)
    [before] = world.measures(FIRST)
    world.writes("training_set", TRAINED, 2_000, older, split="train")
    [kept] = world.measures(FIRST)
    assert kept.window == before.window
    shutil.rmtree(world.house.lakehouse.path("training_set"))
    assert [found.window for found in world.measures(FIRST)] == [before.window]


@pytest.mark.parametrize("rows", ["gone", "empty"])
def test_a_reference_that_no_longer_exists_is_told_and_is_never_no_drift(
    new_world: Callable[..., World], rows: str
) -> None:
    world = new_world()
    world.writes("lead_features", FIRST, 500)
    if rows == "gone":
        shutil.rmtree(world.house.lakehouse.path("training_set"))
    else:
        world.writes("training_set", TRAINED, 0, split="train")
    [found] = world.measures(FIRST)
    assert set(statuses(found).values()) == {"not_computable"}
    assert len(found.window.features) == len(world.home.settings.registry.features)
    told = found.window.features[0]
    assert told.n_current == 500
    assert "The reference of champion v1 no longer exists: " in told.reason
    assert "Materialise " in told.reason
    assert world.materialises(FIRST, FIRST).success
    metrics = world.house.lakehouse.read("drift_metrics", periods=[FIRST])
    assert set(metrics["status"].to_pylist()) == {"not_computable"}
    assert pc.all(pc.is_null(metrics["value"])).as_py()
    period = world.home.settings.calendar.period(FIRST)
    assert quality.every_feature_judged(world.house, period).passed
    # Nobody may take this for "no drift", nor miss it.
    said = quality.no_feature_drifted(world.house, period)
    assert not said.passed
    assert said.sentence.startswith("this says nothing about drift: ")
    assert "The reference of champion v1 no longer exists: " in said.sentence


def test_a_clock_that_jumps_changes_nothing_that_was_said(new_world: Callable[..., World]) -> None:
    """Back: a month measured again after a newer champion went live. Forward: a month of which nothing can be known."""
    world = new_world()
    world.writes("lead_features", FIRST, 500)
    world.writes("lead_features", SECOND, 500)
    [before] = world.measures(FIRST)
    world.writes("training_set", FIRST, 2_000, older, split="train")
    world.deploys(2, FIRST)
    again, later = world.measures(FIRST, SECOND)
    assert (again.window, again.counted) == (before.window, before.counted)
    assert (again.champion.version, later.champion.version) == (1, 2)
    [future] = world.measures("2031-01")
    assert set(statuses(future).values()) == {"insufficient_data"}


def test_a_feature_the_model_never_knew_stops_no_other(new_world: Callable[..., World]) -> None:
    world = new_world()
    world.writes("training_set", TRAINED, 2_000, lambda f: f.drop(columns="age"), split="train")
    shutil.rmtree(world.house.lakehouse.path("training_set"))
    world.writes("training_set", TRAINED, 2_000, lambda f: f.drop(columns="age"), split="train")
    world.writes("lead_features", FIRST, 500)
    world.writes("lead_features", SECOND, 500, lambda f: f.assign(job=None))
    first, second = world.measures(FIRST, SECOND)
    assert statuses(first)["age"] == "not_computable"
    assert {status for feature, status in statuses(first).items() if feature != "age"} == {"ok"}
    assert statuses(second)["job"] == "drift"


def test_a_segment_that_cannot_be_read_is_told_and_stops_nothing_else(new_world: Callable[..., World]) -> None:
    world = new_world()
    world.writes("lead_features", FIRST, 300)
    rows = world.house.lakehouse.read("lead_features", periods=[FIRST])
    texts = pa.py_buffer(b"\xff\xfe" * 300), pa.py_buffer(np.arange(0, 602, 2, dtype=np.int32).tobytes())
    not_utf8 = pa.Array.from_buffers(pa.string(), 300, [None, texts[1], texts[0]])
    spoiled = rows.set_column(rows.column_names.index("contact"), "contact", not_utf8)
    world.house.lakehouse.replace_periods("lead_features", [FIRST], spoiled)
    [found] = world.measures(FIRST)
    assert statuses(found).pop("contact") == "not_computable"
    assert {status for feature, status in statuses(found).items() if feature != "contact"} == {"ok"}
    assert {each.drift.status for each in found.window.segments} == {"not_computable"}
    assert "contact cannot be read: Invalid Input Error" in found.window.segments[0].drift.reason


def test_a_month_without_leads_is_insufficient(new_world: Callable[..., World]) -> None:
    world = new_world()
    world.writes("lead_features", FIRST, 500)
    [found] = world.measures(SECOND)
    assert set(statuses(found).values()) == {"insufficient_data"}
    assert {each.drift.status for each in found.window.segments} == {"insufficient_data"}
    assert found.window.summary.severity == "UNKNOWN"
    assert world.materialises(SECOND, SECOND).success
    said = quality.no_feature_drifted(world.house, world.home.settings.calendar.period(SECOND))
    assert (said.passed, said.numbers["drifted"]) == (True, 0)
    assert said.sentence.startswith("this says nothing about drift: ")
    assert "rows are needed" in said.sentence


def test_the_page_of_a_period_shows_what_was_known_then_however_it_was_made(new_world: Callable[..., World]) -> None:
    """Months made in one run and month by month; the first again after the second."""
    world = new_world()
    world.writes("lead_features", FIRST, 2_500)
    world.writes("lead_features", SECOND, 2_500, older)
    pages: list[dict[str, object]] = []
    for runs in ([(FIRST, SECOND)], [(FIRST, FIRST), (SECOND, SECOND), (FIRST, FIRST)]):
        made = [world.materialises(first, last) for first, last in runs]
        shown = {
            event.partition: event.metadata["over_time"].value if "over_time" in event.metadata else None
            for result in made
            for event in result.asset_materializations_for_node("drift")
            if event.asset_key.path == ["feature_drift"]
        }
        assert shown[FIRST] is None
        pages.append(shown)
    assert pages[0] == pages[1]
    assert str(pages[0][SECOND]).startswith("![")


def test_three_tables_tell_the_same_measurement_and_the_same_again(new_world: Callable[..., World]) -> None:
    world = new_world()
    world.writes("lead_features", FIRST, 2_500)
    world.writes("lead_features", SECOND, 2_500, older)
    assert world.materialises(FIRST, SECOND).success
    lakehouse = world.house.lakehouse
    tables = {name: lakehouse.read(name) for name in ("feature_drift", "drift_metrics", "feature_counts")}
    drifts, metrics, counts = (table.to_pandas() for table in tables.values())
    psi = metrics[(metrics.metric == "psi") & (metrics.scope == "feature")].set_index(["period", "feature"])
    by_feature = drifts.set_index(["period", "feature"]).loc[psi.index]
    assert (psi[["value", "effect", "status"]].to_numpy() == by_feature[["psi", "psi_debiased", "status"]]).all(None)
    overall = metrics[(metrics.scope == "overall") & (metrics.metric == "psi")].set_index("period")
    assert overall["status"].to_dict() == {FIRST: "ok", SECOND: "drift"}
    assert overall["value"].to_dict() == pytest.approx(drifts.groupby("period")["psi"].mean().to_dict(), abs=1e-12)
    assert set(metrics["scope"]) == {"feature", "segment", "missingness", "overall"}
    assert set(counts["bin_rows"].map(sum)) <= set(counts["n_rows"])
    ids = {*drifts["reference_id"], *metrics["reference_id"], *counts["reference_id"]}
    assert ids == {lakehouse.read(kept_reference.TABLE)["reference_id"][0].as_py()}
    for key in (FIRST, SECOND):
        period = world.home.settings.calendar.period(key)
        assert quality.every_feature_judged(world.house, period).passed
        assert quality.every_row_counted(world.house, period).passed
        assert quality.no_feature_drifted(world.house, period).passed == (key == FIRST)
    assert world.materialises(FIRST, SECOND).success
    # By content: a table's files are read in whatever order they were written.
    again = {name: content_hash(lakehouse.read(name)) for name in tables}
    assert again == {name: content_hash(table) for name, table in tables.items()}
    world.writes("lead_features", THIRD, 2_500, older)
    assert world.materialises(THIRD, THIRD).success
    begun, lasting = (
        quality.no_feature_drifted(world.house, world.home.settings.calendar.period(key)) for key in (SECOND, THIRD)
    )
    assert "still" not in begun.sentence
    assert f"still since {SECOND}" in lasting.sentence
    assert not lasting.passed


def test_rows_that_no_count_holds_are_noticed(new_world: Callable[..., World]) -> None:
    world = new_world()
    world.writes("lead_features", FIRST, 500)
    assert world.materialises(FIRST, FIRST).success
    world.writes("lead_features", FIRST, 501)
    found = quality.every_row_counted(world.house, world.home.settings.calendar.period(FIRST))
    assert not found.passed
    assert found.sentence == "14 of 14 features count other rows than the 501 of the period"


def test_before_the_first_champion_nothing_is_said(new_world: Callable[..., World]) -> None:
    world = new_world()
    world.writes("lead_features", "2008-06", 500)
    assert world.measures("2008-06") == []
    assert world.materialises("2008-06", "2008-06").success
    assert world.house.lakehouse.read("feature_drift").num_rows == 0
    assert quality.every_row_counted(world.house, world.home.settings.calendar.period("2008-06")).passed
