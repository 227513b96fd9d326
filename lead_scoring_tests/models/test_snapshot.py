"""A snapshot holds exactly the rows it was given, under a name of their content, whole or not at all, and tells every change."""

import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.lakehouse.content_hash import content_hash
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.models.snapshot import (
    MANIFEST,
    ROWS,
    delta_versions,
    load,
    shaping_settings_sha256,
    take,
)
from lead_scoring_assets.models.snapshot_manifest import Snapshot
from lead_scoring_assets.periods import Period
from lead_scoring_assets.settings import Settings, parse_settings

JUNE = Period(datetime(2009, 6, 1, tzinfo=UTC), datetime(2009, 7, 1, tzinfo=UTC), "2009-06")
INPUTS = {"lead_features": 7, "ground_truth_labels": 3}
SCHEMA = pa.schema(
    [
        ("period", pa.string()),
        ("split", pa.string()),
        ("lead_id", pa.string()),
        ("created_at", pa.timestamp("us", tz="UTC")),
        ("label", pa.int8()),
        ("age", pa.float64()),
        ("size", pa.float32()),
        ("job", pa.string()),
    ]
)


def training_set(n: int = 40, seed: int = 1) -> pa.Table:
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {
        "period": ["2009-06"] * n,
        "split": ["train" if i < 0.75 * n else "holdout" for i in range(n)],
        "lead_id": [f"lead-{i:04}" for i in range(n)],
        "created_at": [datetime(2009, 1, 1 + i % 28, tzinfo=UTC) for i in range(n)],
        "label": rng.integers(0, 2, n).tolist(),
        "age": rng.normal(40, 10, n).tolist(),
        "size": rng.normal(size=n).astype(np.float32),
        "job": [None if i % 7 == 0 else f"job {i % 3}" for i in range(n)],
    }
    return pa.table(columns, schema=SCHEMA)


ROWS_OF_JUNE = training_set()


def keep(rows: pa.Table, root: Path) -> Snapshot:
    return take(rows, root, JUNE, inputs=INPUTS, settings_sha256="a" * 64)


def own_settings() -> Settings:
    columns = "{age: {kind: number, role: feature, why: w}, size: {kind: number, role: feature, why: w}}"
    return parse_settings(f"{{name: own, periods: {{start: 2009-01-01}}, columns: {columns}}}", "the test's")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot's folder; not to be written to."""
    root = tmp_path_factory.mktemp("all snapshots")
    return root / keep(ROWS_OF_JUNE, root).path


# What is kept.


def test_the_rows_come_back_as_they_were(kept: Path) -> None:
    rows, snapshot = load(kept)
    assert rows.equals(ROWS_OF_JUNE)
    assert rows.schema.equals(SCHEMA)
    assert snapshot.content_hash == content_hash(ROWS_OF_JUNE) == kept.name
    assert (snapshot.period, snapshot.as_of, snapshot.rows) == ("2009-06", JUNE.end, 40)
    assert snapshot.columns == tuple((field.name, str(field.type)) for field in SCHEMA)
    assert snapshot.splits == {"holdout": 10, "train": 30}
    assert snapshot.inputs == INPUTS


def test_the_files_cannot_be_written_by_accident(kept: Path) -> None:
    assert sorted(path.name for path in kept.iterdir()) == [MANIFEST, ROWS]
    assert {path.stat().st_mode & 0o777 for path in kept.iterdir()} == {0o444}


@settings(max_examples=20)
@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_neither_the_order_of_rows_nor_their_chunks_make_another_snapshot(draw: random.Random, chunk: int) -> None:
    order = draw.sample(range(40), 40)
    shuffled = ROWS_OF_JUNE.take(order)
    chunked = pa.concat_tables([shuffled.slice(first, chunk) for first in range(0, 40, chunk)])
    noted = chunked.replace_schema_metadata({"pandas": "whatever"})
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        first, second = keep(ROWS_OF_JUNE, Path(one)), keep(noted, Path(other))
        assert first == second
        for name in (ROWS, MANIFEST):
            assert (Path(one) / first.path / name).read_bytes() == (Path(other) / second.path / name).read_bytes()


def otherwise(draw: st.DataObject) -> pa.Table:
    """`ROWS_OF_JUNE` with one cell changed by as little as can be, or one column of another type."""
    row, name = draw.draw(st.integers(0, 39)), draw.draw(st.sampled_from(["label", "age", "size", "job", "created_at"]))
    place, old = SCHEMA.names.index(name), ROWS_OF_JUNE[name][row].as_py()
    kind = SCHEMA.field(name).type
    others: dict[str, Callable[[], list[Any]]] = {
        "label": lambda: [1 - old, None],
        "age": lambda: [np.nextafter(old, np.inf), np.nextafter(old, -np.inf), None, float("nan")],
        "size": lambda: [np.nextafter(np.float32(old), np.float32(np.inf)), None, float("nan")],
        "job": lambda: ["", f"{old} ", None] if old is not None else ["", "NULL"],
        "created_at": lambda: [old.replace(microsecond=1), None],
    }
    values = ROWS_OF_JUNE[name].to_pylist()
    values[row] = draw.draw(st.sampled_from(others[name]()))
    wider = {"label": pa.int16(), "size": pa.float64(), "job": pa.large_string()}
    if name in wider and draw.draw(st.booleans()):
        values[row], kind = old, wider[name]
    return ROWS_OF_JUNE.set_column(place, pa.field(name, kind), pa.array(values, kind))


@settings(max_examples=40)
@given(st.data())
def test_whatever_changes_makes_another_snapshot(draw: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as root:
        changed = keep(otherwise(draw), Path(root))
        assert changed.content_hash != content_hash(ROWS_OF_JUNE)
        rows, _ = load(Path(root) / changed.path)
        assert content_hash(rows) == changed.content_hash


def test_null_and_not_a_number_stay_what_they_are(tmp_path: Path) -> None:
    pair = [ROWS_OF_JUNE.slice(0, 1).set_column(5, "age", pa.array([value], pa.float64())) for value in (None, np.nan)]
    null, nan = (load(tmp_path / keep(rows, tmp_path).path)[0]["age"] for rows in pair)
    assert null.null_count == 1
    assert nan.null_count == 0
    assert np.isnan(nan[0].as_py())


# Taking again.


def test_the_same_content_again_is_the_one_that_is_there(tmp_path: Path) -> None:
    first = keep(ROWS_OF_JUNE, tmp_path)
    before = {path.name: path.stat() for path in (tmp_path / first.path).iterdir()}
    again = take(ROWS_OF_JUNE.slice(20), tmp_path, JUNE, inputs={}, settings_sha256="b" * 64)
    assert again.content_hash != first.content_hash
    assert take(ROWS_OF_JUNE, tmp_path, JUNE, inputs={"lead_features": 9}, settings_sha256="b" * 64) == first
    after = {path.name: path.stat() for path in (tmp_path / first.path).iterdir()}
    assert {name: (s.st_ino, s.st_mtime_ns) for name, s in before.items()} == {
        name: (s.st_ino, s.st_mtime_ns) for name, s in after.items()
    }


def test_another_period_keeps_its_own(tmp_path: Path) -> None:
    july = Period(JUNE.end, datetime(2009, 8, 1, tzinfo=UTC), "2009-07")
    one, two = (take(ROWS_OF_JUNE, tmp_path, period, inputs={}, settings_sha256="") for period in (JUNE, july))
    assert one.content_hash == two.content_hash
    assert load(tmp_path / two.path)[1].as_of == july.end


def test_a_folder_of_that_name_with_other_content_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "2009-06" / content_hash(ROWS_OF_JUNE)
    shutil.copytree(tmp_path / keep(training_set(seed=2), tmp_path).path, folder)
    with pytest.raises(LakehouseError, match=rf"{folder}.* expected a folder named by its content"):
        keep(ROWS_OF_JUNE, tmp_path)
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.raises(LakehouseError, match=r"cannot be read .*manifest\.json and rows\.parquet.*backup"):
        keep(ROWS_OF_JUNE, tmp_path)


def test_processes_that_keep_the_same_rows_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as several:
        taken = list(several.map(lambda _: keep(ROWS_OF_JUNE, tmp_path), range(8)))
    assert all(one == taken[0] for one in taken)
    assert [path.name for path in (tmp_path / "2009-06").iterdir()] == [taken[0].content_hash]


def test_a_lead_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LakehouseError, match="each lead once, found 2 rows more"):
        keep(pa.concat_tables([ROWS_OF_JUNE, ROWS_OF_JUNE.slice(0, 2)]), tmp_path)
    with pytest.raises(LakehouseError, match=r"needs the columns \['lead_id', 'split'\], found \['a'\]"):
        keep(pa.table({"a": [1]}), tmp_path)
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_disk_that_writes_something_else_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hash is that of what lies on the disk, not of what was meant to be written."""
    write = pq.write_table

    def careless(rows: pa.Table, *where: Any, **how: Any) -> None:
        write(rows.set_column(5, "age", rows["age"].cast(pa.float32())), *where, **how)

    monkeypatch.setattr(pq, "write_table", careless)
    with pytest.raises(LakehouseError, match=r"cannot be kept exactly.*age was double and is float"):
        keep(ROWS_OF_JUNE, tmp_path)
    assert not list((tmp_path / "2009-06").iterdir())


# Damage.


@settings(max_examples=100)
@given(st.sampled_from([ROWS, MANIFEST]), st.data())
def test_whatever_bit_flips_is_told_with_the_files_name(kept: Path, name: str, draw: st.DataObject) -> None:
    content = bytearray((kept / name).read_bytes())
    place = draw.draw(st.integers(0, 8 * len(content) - 1))
    content[place // 8] ^= 1 << place % 8
    with tempfile.TemporaryDirectory() as root:
        damaged = Path(shutil.copytree(kept, Path(root) / "2009-06" / kept.name))
        (damaged / name).chmod(0o644)
        (damaged / name).write_bytes(content)
        with pytest.raises(LakehouseError) as told:
            load(damaged)
        assert f"{damaged / name} was changed since the snapshot was taken" in str(told.value)
        with pytest.raises(LakehouseError):
            keep(ROWS_OF_JUNE, Path(root))


@pytest.mark.parametrize("name", [ROWS, MANIFEST])
@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"snapshot": []}', b'{"snapshot": {"columns": 1}}', b"\xff"])
def test_a_file_of_another_kind_is_told(kept: Path, tmp_path: Path, name: str, content: bytes) -> None:
    damaged = Path(shutil.copytree(kept, tmp_path / kept.name))
    (damaged / name).chmod(0o644)
    (damaged / name).write_bytes(content)
    with pytest.raises(LakehouseError, match=rf"{damaged / name} was changed"):
        load(damaged)


@pytest.mark.parametrize("name", [ROWS, MANIFEST])
def test_a_file_that_is_gone_is_named(kept: Path, tmp_path: Path, name: str) -> None:
    damaged = Path(shutil.copytree(kept, tmp_path / kept.name))
    (damaged / name).unlink()
    with pytest.raises(LakehouseError, match=rf"{name}.*Restore it from a backup"):
        load(damaged)


# Death.

KILLED_AT_EVERY_LINE = """
import os, signal, sys
from pathlib import Path
import pyarrow.parquet as pq
from lead_scoring_assets.models import snapshot
from lead_scoring_tests.models.test_snapshot import keep, training_set

WRITING = ("one_at_a_time", "_write", "_settle", "bring_to_the_disk")

def dies_at(line):
    seen = 0
    def watch(frame, event, argument):
        nonlocal seen
        if frame.f_code.co_filename != snapshot.__file__ or frame.f_code.co_name not in WRITING:
            return None
        if event == "line":
            seen += 1
            if seen == line:
                os.kill(os.getpid(), signal.SIGKILL)
        return watch
    return watch

where, line, died = Path(sys.argv[1]), 0, True
while died:
    line += 1
    child = os.fork()
    if not child:
        sys.settrace(dies_at(line))
        keep(training_set(), where / f"{line:03}")
        os._exit(0)
    died = os.WIFSIGNALED(os.waitpid(child, 0)[1])
"""


def test_a_process_that_is_killed_while_it_writes_leaves_the_whole_snapshot_or_none(tmp_path: Path) -> None:
    """One child for each line that writing runs through, until one gets to the end."""
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", KILLED_AT_EVERY_LINE, str(tmp_path)], check=True, env=environment, cwd=root)
    left = {"nothing": 0, "a part": 0, "all": 0}
    for own in sorted(tmp_path.iterdir()):
        found = [path.name for path in own.glob("2009-06/*")]
        whole = [name for name in found if not name.endswith(".part")]
        assert whole in ([], [content_hash(ROWS_OF_JUNE)])
        for name in whole:
            assert load(own / "2009-06" / name)[0].equals(ROWS_OF_JUNE)
        left["all" if whole else "a part" if found else "nothing"] += 1
        assert keep(ROWS_OF_JUNE, own).rows == 40
        if not whole:  # the next one clears up
            assert [path.name for path in own.glob("2009-06/*")] == [content_hash(ROWS_OF_JUNE)]
    assert min(left.values()) > 2, left  # it was killed before, in the middle and afterwards


# What stands beside the rows.


def test_the_versions_of_inputs_are_the_tables_own(tmp_path: Path) -> None:
    lakehouse = Lakehouse(tmp_path)
    for table, writes in (("a", 1), ("b", 3)):
        for number in range(writes):
            lakehouse.append(table, pa.table({"n": [number]}))
    assert delta_versions(lakehouse, ["a", "b"]) == {"a": 1, "b": 3}
    with pytest.raises(LakehouseError, match="c does not exist"):
        delta_versions(lakehouse, ["c"])


def test_settings_that_shape_the_rows_count_and_others_do_not() -> None:
    base = own_settings()

    def with_(section: str, **changed: object) -> Settings:
        part = getattr(base, section).model_copy(update=changed)
        return base.model_copy(update={section: part})

    reordered = base.model_copy(update={"columns": dict(reversed(base.columns.items()))})
    shaping = [with_("labels", conversion_window_days=31), with_("training", window_months=7), reordered]
    others = [with_("training", seed=7), with_("gate", minimum_auc=0.1), base.model_copy(update={"name": "other"})]
    own = shaping_settings_sha256(base)
    assert own == shaping_settings_sha256(own_settings())
    assert len({own, *map(shaping_settings_sha256, shaping)}) == 4
    assert {own, *map(shaping_settings_sha256, others)} == {own}
