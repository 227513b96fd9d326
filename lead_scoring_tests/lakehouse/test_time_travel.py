"""Which version stood at a moment: told by the commits themselves, the same in a copy, never by the times of files."""

import json
import os
import shutil
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.lakehouse.time_travel import Moment, moments, version_as_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def at(milliseconds: float) -> datetime:
    return EPOCH + timedelta(milliseconds=milliseconds)


def log(folder: Path, *times: int | None, first: int = 0) -> Path:
    """A log of nothing but commits made at `times` (milliseconds)."""
    (folder / "_delta_log").mkdir(parents=True, exist_ok=True)
    for number, time in enumerate(times, start=first):
        info = {"commitInfo": {"operation": "WRITE"} | ({"timestamp": time} if time is not None else {})}
        lines = [json.dumps({"add": {"path": '"commitInfo" is not here'}}), json.dumps(info)]
        (folder / "_delta_log" / f"{number:020}.json").write_text("\n".join(lines))
    return folder


@pytest.fixture
def lakehouse(tmp_path: Path) -> Lakehouse:
    """A table of five versions: the first has no rows, each other one brings its own number."""
    made = Lakehouse(tmp_path / "lakehouse")
    for number in range(1, 5):
        made.append("log", pa.table({"n": [number]}))
    return made


def retimed(lakehouse: Lakehouse, *milliseconds: int) -> None:
    """Gives each real commit the time that it is to carry."""
    for number, time in enumerate(milliseconds):
        commit = lakehouse.path("log") / "_delta_log" / f"{number:020}.json"
        actions = [json.loads(line) for line in commit.read_text().splitlines()]
        for action in actions:
            if "commitInfo" in action:
                action["commitInfo"]["timestamp"] = time
        commit.write_text("\n".join(map(json.dumps, actions)))


def test_a_moment_has_the_rows_that_stood_then(lakehouse: Lakehouse) -> None:
    retimed(lakehouse, 1000, 2000, 3000, 3000, 5000)
    for moment, newest in ((1000, 0), (1999, 0), (2000, 1), (3000, 3), (4999.999, 3), (5000, 4), (10**12, 4)):
        assert lakehouse.version("log", as_of=at(moment)) == newest
        rows = lakehouse.read("log", as_of=at(moment))
        assert sorted(rows["n"].to_pylist()) == list(range(1, newest + 1))
        assert lakehouse.scan("log", as_of=at(moment)).to_table().equals(lakehouse.read("log", version=newest))


def test_a_zone_is_only_another_way_to_write_the_moment(lakehouse: Lakehouse) -> None:
    retimed(lakehouse, 1000, 2000, 3000, 4000, 5000)
    assert lakehouse.version("log", as_of=at(2000).astimezone(timezone(timedelta(hours=4)))) == 1


def test_before_the_first_commit_there_was_nothing(lakehouse: Lakehouse) -> None:
    retimed(lakehouse, 1_000, 2_000, 3_000, 4_000, 5_000)
    told = r"log was not there as of 1970-01-01T00:00:00.999000\+00:00: .* version 0 of 1970-01-01T00:00:01\+00:00"
    with pytest.raises(LakehouseError, match=told):
        lakehouse.read("log", as_of=at(999))
    with pytest.raises(LakehouseError, match="2008-05-01T00:00:00 has no time zone: write it with one"):
        lakehouse.scan("log", as_of=datetime(2008, 5, 1))  # noqa: DTZ001
    with pytest.raises(LakehouseError, match="table leads does not exist"):
        lakehouse.read("leads", as_of=at(999))


def test_a_copy_answers_as_the_first_did_whatever_the_times_of_its_files(lakehouse: Lakehouse, tmp_path: Path) -> None:
    made = moments(lakehouse.path("log"))
    copy = Lakehouse(tmp_path / "copy")
    shutil.copytree(lakehouse.root, copy.root)
    for number, file in enumerate(sorted(copy.path("log").rglob("*.*"), reverse=True)):
        os.utime(file, (number, number))
    for moment in made:
        found = copy.read("log", as_of=moment.at)
        assert found.equals(lakehouse.read("log", as_of=moment.at))
        assert found.num_rows == max(m.version for m in made if m.at == moment.at)


def test_a_log_that_was_condensed_or_cut_still_answers(lakehouse: Lakehouse) -> None:
    for number in range(5, 103):
        lakehouse.append("log", pa.table({"n": [number]}))
    retimed(lakehouse, *range(0, 103_000, 1000))
    folder = lakehouse.path("log") / "_delta_log"
    assert list(folder.glob("*.checkpoint.parquet"))
    assert lakehouse.read("log", as_of=at(60_500)).num_rows == 60
    for number in range(100):
        (folder / f"{number:020}.json").unlink()
    # One commit in between brought no row: it merged small files.
    assert lakehouse.read("log", as_of=at(101_000)).num_rows == 100
    with pytest.raises(LakehouseError, match="its first commit is version 100 of 1970-01-01T00:01:40"):
        lakehouse.read("log", as_of=at(60_500))


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12), st.integers(-5, 55))
def test_no_version_is_seen_before_the_one_it_was_built_on(
    tmp_path_factory: pytest.TempPathFactory, times: list[int], moment: int
) -> None:
    """Clocks may go back. By hand: the answer is the version before the first commit that is later than the moment."""
    folder = log(tmp_path_factory.mktemp("t"), *times)
    later = next((number for number, time in enumerate(times) if time > moment), len(times))
    if later == 0:
        with pytest.raises(LakehouseError, match="was not there as of"):
            version_as_of(folder, at(moment))
    else:
        assert version_as_of(folder, at(moment)) == later - 1


def test_a_commit_that_tells_no_time_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        LakehouseError, match=r"00001\.json does not tell when it was made .*: ask for this table by version"
    ):
        version_as_of(log(tmp_path, 1000, None), at(2000))


def test_a_time_that_the_writer_promised_to_be_in_order_goes_first(tmp_path: Path) -> None:
    folder = log(tmp_path, 1000)
    told = {"commitInfo": {"timestamp": 9000, "inCommitTimestamp": 2000}}
    (folder / "_delta_log" / f"{1:020}.json").write_text(json.dumps(told))
    (folder / "_delta_log" / "00000000000000000000.00000000000000000001.compacted.json").write_text("not a commit")
    assert moments(folder) == [Moment(0, at(1000)), Moment(1, at(2000))]
