"""A table that is held open is what it would be if it were opened anew, whoever has written, deleted or remade it."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.lakehouse.tables import Lakehouse

MAY, JUNE = "2008-05", "2008-06"
STEPS = st.lists(
    st.tuples(st.sampled_from(["ours", "theirs", "delete", "old version"]), st.sampled_from([MAY, JUNE])), max_size=6
)


def rows(period: str, value: int) -> pa.Table:
    return pa.table({"period": pa.array([period], pa.string()), "v": pa.array([value], pa.int64())})


def seen(lakehouse: Lakehouse, version: int | None = None) -> Any:
    """Version, files and rows, or what is told where there are none."""
    try:
        found = lakehouse.scan("t", version=version)
    except LakehouseError as told:
        return str(told)
    return lakehouse.version("t"), found.files, found.to_table().to_pylist()


@given(steps=STEPS)
@settings(max_examples=25)
def test_it_is_what_opening_it_anew_shows(steps: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        held, theirs = Lakehouse(Path(folder)), Lakehouse(Path(folder))
        for number, (step, period) in enumerate(steps):
            if step in ("ours", "theirs"):
                (held if step == "ours" else theirs).replace_periods("t", [period], rows(period, number))
            elif step == "delete":
                shutil.rmtree(held.path("t"), ignore_errors=True)
            elif held.exists("t"):
                assert seen(held, 0) == seen(Lakehouse(Path(folder)), 0)
            assert seen(held) == seen(Lakehouse(Path(folder)))


def test_a_table_made_again_with_as_many_versions_is_noticed(tmp_path: Path) -> None:
    held = Lakehouse(tmp_path)
    for value in (1, 2):
        shutil.rmtree(held.path("t"), ignore_errors=True)
        Lakehouse(tmp_path).replace_periods("t", [MAY], rows(MAY, value))
        assert held.read("t")["v"].to_pylist() == [value]


def test_a_log_that_has_lost_its_newest_commit_is_read_anew(tmp_path: Path) -> None:
    held = Lakehouse(tmp_path)
    for value in (1, 2):
        held.replace_periods("t", [MAY], rows(MAY, value))
    assert held.version("t") == 2
    (held.path("t") / "_delta_log" / f"{2:020}.json").unlink()
    assert held.read("t")["v"].to_pylist() == [1]


def test_it_is_opened_once_until_somebody_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held, opened = Lakehouse(tmp_path), []
    held.replace_periods("t", [MAY], rows(MAY, 1))

    class Counted(deltalake.DeltaTable):
        def __init__(self, *words: Any, **named: Any) -> None:
            opened.append(words)
            super().__init__(*words, **named)

    monkeypatch.setattr(deltalake, "DeltaTable", Counted)
    for _ in range(3):
        held.read("t")
        held.scan("t", version=held.version("t"))
    assert len(opened) == 1
    Lakehouse(tmp_path).replace_periods("t", [MAY], rows(MAY, 2))
    opened.clear()
    assert held.read("t")["v"].to_pylist() == [2]
    assert len(opened) == 1
