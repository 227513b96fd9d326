"""One plan, two engines: the same rows bit for bit, and the same content hash through the asset and Dagster Pipes."""

import json
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from lead_scoring_assets.contracts.columns import Column, Registry
from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.features.plan import build_features, compile_features, feature_schema
from lead_scoring_assets.features.spark import Input, Slice, SparkTask, clear, collect, connect, interpreter, run
from lead_scoring_assets.lakehouse.content_hash import content_hash
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_tests.features.worlds import (
    ACTIVITIES,
    DAY,
    EVERY_MEASURE,
    KNOWN,
    REGISTRY,
    SIZE,
    TICK,
    TYPES,
    Row,
    activities_table,
    activity,
    aggregate,
    lead,
    leads_table,
    reference,
)

ODD_NAMES = [
    "default",
    'a"b',
    "a`b",
    "select",
    "größe in m²",
    "x; DROP TABLE raw_leads",
    "it's",
    "$1",
    "--",
    '"',
    "a.b",
]
ODD_TEXTS = ["it's", "\\", "\\n", "a\\'b", '"', "`", "ß", "'); --", "${x}", "two\nlines", "%_", "unknown"]


def spark_features(
    folder: Path, remote: str, registry: Registry, leads: pa.Table, activities: pa.Table, periods: tuple[str, ...]
) -> pa.Table:
    """The tables written to a lakehouse, the plan done by the server at `remote`, and what it left."""
    lakehouse = Lakehouse(folder / "lakehouse")
    reads = {"raw_leads": periods}
    for name, rows in (("raw_leads", leads), ("raw_activities", activities)):
        if name == "raw_leads" or registry.aggregates:
            reads[name] = tuple(sorted({*periods, *rows["period"].to_pylist()}))
            lakehouse.replace_periods(name, reads[name], rows)
    reads["raw_leads"] = periods
    inputs = {name: Input(path=str(lakehouse.path(name)), version=lakehouse.version(name)) for name in reads}
    # Rows of a later version are not read.
    lakehouse.replace_periods("raw_leads", ["2030-01"], leads[:0])
    slices = (Slice(period="all", reads=reads, folder=str(folder / "out")),)
    task = SparkTask(remote=remote, sql=compile_features(registry, "spark"), inputs=inputs, slices=slices)
    (done,) = run(SparkTask.model_validate_json(task.model_dump_json()))
    assert done.period == "all"
    return collect(slices[0], feature_schema(registry), done.rows)


def assert_same_bits(one: pa.Table, other: pa.Table) -> None:
    assert one.schema.equals(other.schema)
    for name in one.column_names:
        mine, theirs = one[name].to_pylist(), other[name].to_pylist()
        if pa.types.is_floating(one.schema.field(name).type):
            mine, theirs = ([v if v is None else struct.pack("<d", v) for v in column] for column in (mine, theirs))
        assert mine == theirs, name


def crowded_world(seed: int, leads: int = 60, activities: int = 800) -> tuple[list[Row], list[Row]]:
    """Leads and activities on each other's borders, told late, again and otherwise."""
    chance = random.Random(seed)

    def moment() -> datetime:
        return KNOWN - chance.choice([0, 1, 2, 3, 7, 29, 30]) * DAY + chance.choice([-1, 0, 0, 1]) * TICK

    people = [f"lead-{n}" for n in range(leads)] + ["lead-ä", "Lead-1", ""]
    told = []
    for lead_id in people:
        known = sorted(moment() + 20 * DAY * chance.choice([0, 0, 1]) for _ in range(chance.choice([1, 1, 2, 3])))
        told += [lead(lead_id, at, version=v, size=chance.choice([None, -1.0, 0.1])) for v, at in enumerate(known, 1)]
    done = []
    for number in range(activities):
        at = moment()
        known = sorted(at + chance.choice([0, 0, 1, 30]) * DAY for _ in range(chance.choice([1, 1, 1, 2, 3])))
        for version, known_at in enumerate(known, start=1):
            value = chance.choice([None, 0.1, -0.0, 1e300, 0.0000005, chance.uniform(-1e9, 1e9), chance.random()])
            done.append(
                activity(
                    f"activity-{number}",
                    chance.choice([*people, "nobody"]),
                    at,
                    known_at=known_at,
                    version=version,
                    activity_type=chance.choice(TYPES),
                    value=value,
                    detail=chance.choice([None, *ODD_TEXTS]),
                    rep=chance.choice([None, "", "x", "x ", "X"]),
                )
            )
    chance.shuffle(told)
    chance.shuffle(done)
    return told, done


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.usefixtures("spark_client")
def test_spark_and_duckdb_give_the_same_bits(seed: int, tmp_path: Path, spark_remote: str) -> None:
    leads, activities = crowded_world(seed)
    raw, acts = leads_table(leads), activities_table(activities)
    periods = tuple(sorted(set(raw["period"].to_pylist())))
    by_spark = spark_features(tmp_path, spark_remote, REGISTRY, raw, acts, periods)
    by_duckdb = build_features(raw, REGISTRY, acts)
    assert by_duckdb.num_rows > 60
    assert_same_bits(by_spark, by_duckdb)
    assert content_hash(by_spark) == content_hash(by_duckdb)
    # Not both wrong alike: every column moves, and all but the sums of odd values are the reference's.
    expected = reference(leads, [{**row, "value": None} for row in activities], EVERY_MEASURE)
    sums = {"amount", "amount_of_calls"}
    for name in set(by_duckdb.column_names) - sums:
        assert by_duckdb[name].to_pylist() == [row[name] for row in expected], name
        assert len(set(by_duckdb[name].to_pylist())) > 1, name


@pytest.mark.usefixtures("spark_client")
def test_odd_names_and_texts_mean_the_same_to_both(tmp_path: Path, spark_remote: str) -> None:
    numbers = dict.fromkeys(ODD_NAMES, SIZE)
    texts = {
        f"text {name}": Column(
            kind="category", role="feature", why="test", categories=("yes",), missing=tuple(ODD_TEXTS[place::2])
        )
        for place, name in enumerate(ODD_NAMES[:2])
    }
    computed = {
        f"computed {name}": aggregate("count", 30, of=(kind,)) for name, kind in zip(ODD_NAMES, ODD_TEXTS, strict=False)
    }
    computed["points"] = aggregate("points", 30, points={kind: place + 0.5 for place, kind in enumerate(ODD_TEXTS)})
    registry = Registry({**numbers, **texts}, ODD_TEXTS, computed)
    people = [lead(f"lead-{place:02}") for place in range(len(ODD_TEXTS))]
    raw = leads_table(people).drop_columns(["size"])
    for place, name in enumerate(numbers):
        raw = raw.append_column(name, pa.array([float(place), -1.0, None] * 4))
    for name in texts:
        raw = raw.append_column(name, pa.array(ODD_TEXTS))
    acts = activities_table(
        activity(f"{person['lead_id']}-{kind}-{n}", person["lead_id"], activity_type=kind)
        for place, person in enumerate(people)
        for n, kind in enumerate(ODD_TEXTS[: place + 1])
    )
    by_spark = spark_features(tmp_path, spark_remote, registry, raw, acts, ("2024-06",))
    assert_same_bits(by_spark, build_features(raw, registry, acts))
    assert by_spark.column_names[4:] == [*numbers, *texts, *computed]
    for place, name in enumerate(numbers):
        assert by_spark[name].to_pylist() == [float(place), None, None] * 4
    for place, name in enumerate(texts):
        assert by_spark[name].to_pylist() == [None if n % 2 == place else word for n, word in enumerate(ODD_TEXTS)]
    for place, (name, _) in enumerate(zip(computed, ODD_NAMES, strict=False)):
        assert by_spark[name].to_pylist() == [float(person >= place) for person in range(len(people))]


@pytest.mark.parametrize("registry", [REGISTRY, Registry({"size": SIZE})], ids=["activities", "none"])
@pytest.mark.usefixtures("spark_client")
def test_empty_periods_are_empty_in_spark(registry: Registry, tmp_path: Path, spark_remote: str) -> None:
    raw, acts = leads_table([lead(known_at=KNOWN + 60 * DAY)]), ACTIVITIES.empty_table()
    found = spark_features(tmp_path, spark_remote, registry, raw, acts, ("2024-06",))
    assert found.equals(feature_schema(registry).empty_table())
    assert spark_features(tmp_path, spark_remote, registry, raw, acts, ("2024-08",)).num_rows == 1
    clear(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    clear(tmp_path / "out")


@pytest.mark.parametrize(
    "remote", ["sc://127.0.0.1:{closed}", "sc://127.0.0.1:{mute}", "sc://127.0.0.1:{closed}/;token=secret"]
)
@pytest.mark.usefixtures("spark_client")
def test_a_server_that_is_not_there_is_named_with_the_remedy(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lead_scoring_assets.features.spark._PATIENCE_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as mute, socket.create_server(("127.0.0.1", 0)) as closed:
        ports = {"mute": mute.getsockname()[1], "closed": closed.getsockname()[1]}
        closed.close()
        with pytest.raises(LeadScoringError, match=r"127\.0\.0\.1:\d+.*start it.*engine: duckdb") as told:
            connect(remote.format(**ports))
    assert "secret" not in str(told.value)


@pytest.mark.usefixtures("spark_client")
def test_an_address_that_is_none_is_named() -> None:
    with pytest.raises(LeadScoringError, match=r"nowhere:0:1.*sc://127\.0\.0\.1:50051.*engine: duckdb"):
        connect("sc://nowhere:0:1")


def test_without_the_client_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(LeadScoringError, match=r"its client cannot be imported.*make spark.*engine: duckdb"):
        connect("sc://127.0.0.1:50051")
    with pytest.raises(LeadScoringError, match=r"expected a Python with its client at .*gone.*make spark"):
        interpreter(tmp_path / "gone")


def test_rows_that_a_cluster_left_elsewhere_are_missed(tmp_path: Path) -> None:
    with pytest.raises(LeadScoringError, match=r"read 7 leads of 2024-06.*elsewhere; 0 rows lie.*engine: duckdb"):
        collect(Slice(period="2024-06", reads={}, folder=str(tmp_path / "elsewhere")), feature_schema(REGISTRY), 7)


@pytest.mark.usefixtures("spark_client")
def test_what_spark_cannot_read_is_told_in_words(tmp_path: Path, spark_remote: str) -> None:
    given = {"raw_leads": Input(path=str(tmp_path / "not there"), version=0)}
    work = (Slice(period="2024-06", reads={"raw_leads": ("2024-06",)}, folder=str(tmp_path / "out")),)
    task = SparkTask(remote=spark_remote, sql="SELECT 1", inputs=given, slices=work)
    with pytest.raises(LeadScoringError, match=r"2024-06.*not there.*blanks or accents.*engine: duckdb"):
        list(run(task))


SETTINGS = """
name: two-engines
periods: {cadence: month, start: 2024-04-01}
columns:
  size: {kind: number, role: feature, missing: [-1], why: test}
activities: {types: [visit, call]}
features:
  visits: {measure: count, of: [visit], days: 7, why: test}
  minutes: {measure: sum, days: 45, why: test}
  last: {measure: days_since_last, days: 30, why: test}
compute: {engine: duckdb}
"""

MATERIALIZE = """
import json, sys
import dagster as dg
from lead_scoring_assets.features.assets import lead_features
from lead_scoring_assets.features.checks import CHECKS
from lead_scoring_assets.lakehouse.io_manager import LakehouseIOManager
from lead_scoring_assets.partitions import PERIODS
from lead_scoring_assets.resources import InstallationResource

installation = InstallationResource()
raw = [dg.AssetSpec(name, partitions_def=PERIODS) for name in ("raw_leads", "raw_activities")]
with dg.DagsterInstance.ephemeral() as instance:
    result = dg.materialize(
        [*raw, lead_features, *CHECKS],
        selection=dg.AssetSelection.assets(lead_features),
        resources={"installation": installation, "io_manager": LakehouseIOManager(installation=installation)},
        instance=instance,
        raise_on_error=False,
        tags={"dagster/asset_partition_range_start": "2024-06", "dagster/asset_partition_range_end": "2024-07"},
    )
    failures = [event.step_failure_data.error.to_string() for event in result.all_events if event.is_step_failure]
    told = {
        event.partition: {name: str(told.value) for name, told in event.materialization.metadata.items()}
        for event in result.get_asset_materialization_events()
    }
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
sys.stdout.write("\\n" + json.dumps({"failures": failures, "told": told, "checks": checks}))
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Three months of leads and activities, in raw tables as ingestion writes them."""
    (tmp_path / "lead_scoring.yaml").write_text(SETTINGS, encoding="utf-8")
    leads, activities = crowded_world(7)
    lakehouse = Lakehouse(tmp_path / "data" / "lakehouse")
    months = ["2024-04", "2024-05", "2024-06", "2024-07"]
    raw = leads_table(row for row in leads if row["period"] in months)
    acts = activities_table(row for row in activities if row["period"] in months)
    lakehouse.replace_periods("raw_leads", months, raw)
    lakehouse.replace_periods("raw_activities", months, acts)
    return tmp_path


def materialized(home: Path, compute: str) -> dict[str, dict[str, dict[str, str]]]:
    """What a run of the asset and its checks over two months says, in a process of its own: settings are read once."""
    text = SETTINGS.replace("{engine: duckdb}", compute)
    (home / "lead_scoring.yaml").write_text(text, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER_", "LEAD_"))}
    ended = subprocess.run(
        [sys.executable, "-c", MATERIALIZE],
        env={**environment, "LEAD_SCORING_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, dict[str, dict[str, str]]] = json.loads(ended.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_the_asset_has_the_same_content_from_either_engine(home: Path, spark_remote: str) -> None:
    by_duckdb = materialized(home, "{engine: duckdb}")
    by_spark = materialized(home, f"{{engine: spark, spark_remote: '{spark_remote}'}}")
    assert by_duckdb["failures"] == by_spark["failures"] == []
    assert list(by_duckdb["told"]) == list(by_spark["told"]) == ["2024-06", "2024-07"]
    for period, told in by_spark["told"].items():
        duckdb_told = by_duckdb["told"][period]
        assert told["content_hash"] == duckdb_told["content_hash"]
        assert int(told["dagster/row_count"]) > 5
        assert (told["engine"], duckdb_told["engine"]) == ("spark", "duckdb")
        assert "UNIX_MICROS" in told["plan"]
        assert "epoch_us" in duckdb_told["plan"]
        assert told["raw_activities_version"] == duckdb_told["raw_activities_version"]
        assert told["spark_version"]
    assert by_spark["checks"] == by_duckdb["checks"]
    assert set(by_spark["checks"].values()) == {True}
    assert len(by_spark["checks"]) == 3
    assert not list((home / "data" / "spark").iterdir())


@pytest.mark.slow
def test_the_asset_fails_in_words_where_no_spark_answers(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    told = materialized(home, f"{{engine: spark, spark_remote: 'sc://127.0.0.1:{port}'}}")
    (failure,) = told["failures"]
    assert f"expected a Spark Connect server at sc://127.0.0.1:{port}" in failure
    assert "engine: duckdb" in failure
    assert told["told"] == {}


@pytest.mark.slow
def test_a_table_of_activities_that_is_not_there_is_named(home: Path) -> None:
    shutil.rmtree(home / "data" / "lakehouse" / "raw_activities")
    (failure,) = materialized(home, "{engine: duckdb}")["failures"]
    assert "table raw_activities does not exist" in failure
