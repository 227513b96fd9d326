"""Tables compared row by row: what Arrow reads and what DuckDB reads are the same, and neither is asked for more than it must."""

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.monitoring.drift import columns, queried
from lead_scoring_assets.monitoring.drift.binning import Numbers
from lead_scoring_assets.monitoring.drift.measure import measure_drift
from lead_scoring_assets.monitoring.drift.reference import build_reference, count_frame
from lead_scoring_assets.monitoring.drift.reference_state import MISSINGNESS
from lead_scoring_assets.monitoring.drift.row_by_row import compare_rows, count_window, read_rows, reference_of_rows
from lead_scoring_assets.monitoring.drift.scan import count_rows
from lead_scoring_tests.monitoring.drift.test_scan import CATEGORICAL, NUMERIC, messy, table

FLOATS = [pa.float16(), pa.float32(), pa.float64()]
INTEGERS = [pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()]
some = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.0, 2.0, 127.0]))
cuts = st.integers(0, 12)


def told(numbers: Numbers) -> tuple[bytes, list[int], int, int]:
    finite = numbers.finite
    return finite.values.tobytes(), finite.weights.tolist(), numbers.n_not_finite, numbers.n_missing


def cut(values: pa.Array, first: int, second: int) -> pa.Table:
    """As chunks that begin in the middle of what they lie in, one of them perhaps empty."""
    return pa.table({"x": pa.chunked_array([values[1:first], values[first:second], values[second:]], values.type)})


@settings(max_examples=60)
@given(st.sampled_from([*FLOATS, *INTEGERS]), st.lists(some, max_size=20), st.data())
def test_arrow_and_duckdb_read_the_same_numbers(
    kind: pa.DataType, values: list[float | None], data: st.DataObject
) -> None:
    if pa.types.is_floating(kind):
        values = [*values, *data.draw(st.lists(st.sampled_from([np.nan, np.inf, -np.inf, -1.5]), max_size=5))]
    made = pa.array([None if v is None else np.float16(v) if kind == pa.float16() else v for v in values])
    rows = cut(made.cast(kind), data.draw(cuts), data.draw(cuts))
    assert columns.are_numbers(kind)
    if kind != pa.float16():  # which DuckDB does not read
        assert told(columns.numbers(rows, "x", np.empty(rows.num_rows))) == told(queried.numbers(rows, "x"))
    expected = rows["x"].to_numpy().astype(float)
    found = columns.numbers(rows, "x", np.empty(rows.num_rows))
    np.testing.assert_array_equal(found.finite.sorted_values, np.sort(expected[np.isfinite(expected)]))
    assert (found.n_missing, found.n_not_finite) == (np.isnan(expected).sum(), np.isinf(expected).sum())


@settings(max_examples=60)
@given(st.sampled_from([*FLOATS, *INTEGERS]), st.lists(some, max_size=40), st.integers(1, 7), st.data())
def test_values_are_counted_in_blocks_as_they_are_in_one(
    kind: pa.DataType, values: list[float | None], block: int, data: st.DataObject
) -> None:
    """By frames, which know nothing of Arrow; the reference has values that stand alone, or none at all."""
    numbers = st.sampled_from([0.0, 1.0, 2.0, 3.5, np.nan, np.inf, -np.inf])
    before = pd.DataFrame({"x": np.array(data.draw(st.lists(numbers, max_size=30)), dtype=float)})
    if pa.types.is_floating(kind):
        values = [*values, *data.draw(st.lists(st.sampled_from([np.nan, np.inf, -np.inf, -1.5]), max_size=5))]
    made = pa.array([None if v is None else np.float16(v) if kind == pa.float16() else v for v in values])
    rows = cut(made.cast(kind), data.draw(cuts), data.draw(cuts))
    state = build_reference(before, ["x"], [], bins=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_BLOCK", block)
        found = count_window(state, rows)
    assert found == count_frame(state, pd.DataFrame({"x": rows["x"].to_numpy().astype(float)}))


def test_narrow_numbers_are_compared_as_wide_ones() -> None:
    """0.1 in 32 bits is more than 0.1 in 64: it lies above an edge at 0.1, and is another value than the lone one."""
    state = build_reference(pd.DataFrame({"x": [0.1] * 20 + list(np.linspace(0.1, 1, 180))}), ["x"], [])
    assert state.columns[0].lone_values == (0.1,)
    narrow = pa.table({"x": pa.array([0.1, 0.1, 1.0], pa.float32())})
    counts = count_window(state, narrow)
    assert counts.bins["x"][len(state.columns[0].edges) - 1] == 0
    assert counts == count_rows(state, narrow)[()] == read_rows(state, narrow)[0]


def test_counting_holds_no_column_in_memory() -> None:
    """Comparing holds all values of one column, counting a few thousand of them, and what is null of a chunk."""
    rows = pa.table({"x": np.random.default_rng(2).normal(size=400_000), "n": np.arange(400_000)})
    state = reference_of_rows(rows, ["x", "n"], [])

    def peak_mb(read: Callable[[], object]) -> float:
        tracemalloc.start()
        read()
        peak = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        return peak

    assert peak_mb(lambda: read_rows(state, rows)) > 3.2
    assert peak_mb(lambda: count_window(state, rows)) < 0.3


def test_whole_numbers_that_no_float_holds_are_rounded_alike() -> None:
    rows = pa.table({"x": pa.array([2**63 - 1, 2**53 + 1, 2**53 + 3, -(2**62) - 1, None])})
    assert told(columns.numbers(rows, "x", np.empty(5))) == told(queried.numbers(rows, "x"))


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["a", "b", "it's", "", None, "Zürich"]), max_size=20), cuts, cuts)
def test_arrow_and_duckdb_read_the_same_names(values: list[str | None], first: int, second: int) -> None:
    rows = cut(pa.array(values, pa.string()), first, second)
    coded = pa.table({"x": rows["x"].dictionary_encode()})
    apart = pa.chunked_array([chunk.dictionary_encode() for chunk in rows["x"].chunks], coded["x"].type)
    for each in (coded, pa.table({"x": apart})):
        assert columns.are_coded(each.schema.field("x").type)
        assert columns.names(each, "x") == queried.names(rows, "x") == queried.names(each, "x")


def test_codes_of_nothing_are_missing() -> None:
    coded = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 1, 2]), pa.array(["a", None, "never"]))
    assert columns.names(pa.table({"x": coded}), "x") == {"a": 1, None: 3, "never": 1}


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_one_reading_gives_what_counting_and_comparing_give(seed: int, is_coded: bool) -> None:
    rng = np.random.default_rng(seed)
    before, now = table(messy(rng, 400)), table(messy(rng, 300))
    if is_coded:
        for name in ("c", "group", "tail"):
            now = now.set_column(now.schema.get_field_index(name), name, now[name].dictionary_encode())
    state = reference_of_rows(before, NUMERIC, CATEGORICAL)
    assert read_rows(state, now) == (count_rows(state, now)[()], compare_rows(state, now))
    assert count_window(state, now) == count_rows(state, now)[()]
    few = now.drop_columns(["x", "tail"])
    counts, compared = read_rows(state, few)
    assert counts == count_window(state, few) == count_rows(state, few)[()]
    assert set(counts.problems) == {"x", "tail", MISSINGNESS}
    assert set(compared) == {"small", "text", "flag"}


def test_a_window_is_judged_alike_as_a_frame_and_as_a_table() -> None:
    before, now = (messy(np.random.default_rng(seed), 400) for seed in (1, 2))
    state = reference_of_rows(table(before), NUMERIC, CATEGORICAL)
    assert measure_drift(state, table(now)) == measure_drift(state, now)
    counted = measure_drift(state, table(now), exact=False)
    assert counted == measure_drift(state, now, exact=False)
    assert {drift.ks_statistic for drift in counted} == {None}
    assert [drift.psi for drift in counted] == [drift.psi for drift in measure_drift(state, now)]


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 30), min_size=2, max_size=2))
def test_arrow_and_duckdb_find_the_same_missing_together(seed: int, ends: list[int]) -> None:
    rng = np.random.default_rng(seed)
    gaps = rng.random((4, 30)) < 0.4
    codes = pa.array(rng.integers(0, 3, 30), mask=gaps[1])
    made = {
        "x": pa.array(np.where(gaps[0], np.nan, 1.0), mask=rng.random(30) < 0.2),
        "coded": pa.DictionaryArray.from_arrays(codes, pa.array(["a", None, "b"])),
        "n": pa.array(np.arange(30), mask=gaps[2]),
        "small": pa.array(np.arange(30, dtype=np.float32), mask=gaps[3]),
    }
    rows = pa.concat_tables([pa.table(made)[: min(ends)], pa.table(made)[min(ends) : max(ends)]])
    names = list(made)
    for missing in (names, names[1:3]):
        assert columns.patterns(rows, names, missing) == queried.patterns(rows, names, missing)


@pytest.mark.parametrize("n", [columns.MOST_PATTERNS, columns.MOST_PATTERNS + 1])
def test_patterns_of_many_columns(n: int) -> None:
    gaps = np.random.default_rng(8).random((500, n)) < 0.01
    frame = pd.DataFrame(np.where(gaps, np.nan, 1.0), columns=[f"x{i}" for i in range(n)])
    rows = pa.table(frame)
    state = reference_of_rows(rows, list(frame), [])
    assert count_window(state, rows) == count_rows(state, rows)[()] == count_frame(state, frame)


@pytest.mark.parametrize("missing", [(), ("x",), ("x", "c")])
def test_patterns_of_nulls_are_the_same_whether_they_are_looked_up_or_not(missing: tuple[str, ...]) -> None:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"x": rng.normal(size=400), "c": rng.choice(["a", "b"], 400)})
    for name in missing:
        frame.loc[rng.random(400) < 0.3, name] = None
    rows = pa.Table.from_pandas(frame, preserve_index=False)
    state = reference_of_rows(rows, ["x"], ["c"])
    assert state.missingness is not None
    assert sum(n > 0 for n in state.missingness.bin_counts) == 2 ** len(missing)
    assert read_rows(state, rows)[0] == count_window(state, rows) == count_rows(state, rows)[()]


def test_a_table_on_disk_is_read_like_one_in_memory(tmp_path: Path) -> None:
    """By periods, of which the older has a column less and another in a narrower type."""
    lakehouse, rng = Lakehouse(tmp_path / "lakehouse"), np.random.default_rng(4)
    values = pa.table({"period": ["p1"] * 400, "y": pa.array(rng.poisson(3, 400), pa.int64())})
    more = pa.table({"period": ["p2"] * 400, "y": values["y"], "x": rng.normal(size=400), "c": list("ab") * 200})
    lakehouse.replace_periods("leads", ["p1"], values)
    lakehouse.replace_periods("leads", ["p2"], more)
    whole = pa.concat_tables([values, more], promote_options="default")
    state = reference_of_rows(whole, ["x", "y"], ["c"])
    assert read_rows(state, lakehouse.scan("leads")) == read_rows(state, whole)
    assert count_window(state, lakehouse.scan("leads")) == count_rows(state, whole)[()]
    assert compare_rows(state, lakehouse.scan("leads", periods=["p2"])) == compare_rows(state, more)


def test_what_arrow_cannot_read_duckdb_refuses(tmp_path: Path) -> None:
    rows = pa.table({"x": np.random.default_rng(1).normal(size=5_000), "y": np.arange(5_000.0)})
    state = reference_of_rows(rows, ["x", "y"], [])
    pq.write_table(rows, tmp_path / "torn.parquet", compression="none", use_dictionary=False)
    place = pq.ParquetFile(tmp_path / "torn.parquet").metadata.row_group(0).column(0).data_page_offset
    content = bytearray((tmp_path / "torn.parquet").read_bytes())
    content[place : place + 16] = b"\xff" * 16
    (tmp_path / "torn.parquet").write_bytes(content)
    counts, compared = read_rows(state, pads.dataset(tmp_path / "torn.parquet"))
    assert set(compared) == {"y"}
    assert set(counts.problems) == {"x", MISSINGNESS}
    assert counts.problems["x"].startswith("x cannot be read as numeric: ")
    assert count_window(state, pads.dataset(tmp_path / "torn.parquet")) == counts


@pytest.mark.parametrize("n", [0, 1])
def test_windows_of_no_row_and_one_row(n: int) -> None:
    before = pa.table({"x": [1.0] * 300, "c": pa.array(["only"] * 300).dictionary_encode()})
    state = reference_of_rows(before, ["x"], ["c"])
    counts, compared = read_rows(state, before.slice(0, n))
    assert counts == count_window(state, before.slice(0, n)) == count_rows(state, before.slice(0, n))[()]
    assert set(compared) == ({"x"} if n else set())


def test_numbers_and_coded_names_need_neither_pandas_nor_duckdb(tmp_path: Path) -> None:
    rows = pa.table({"x": [1.0, 2.0, None] * 100, "n": [1, None, 3] * 100, "c": ["a", "b", None] * 100})
    pq.write_table(rows, tmp_path / "rows.parquet")
    code = (
        "import sys, json, pyarrow.parquet as pq\n"
        "from lead_scoring_assets.monitoring.drift.row_by_row import count_window, read_rows, reference_of_rows\n"
        f"rows = pq.ParquetFile({str(tmp_path / 'rows.parquet')!r}, read_dictionary=['c']).read()\n"
        "state = reference_of_rows(rows, ['x', 'n'], ['c'])\n"
        "counts, compared = read_rows(state, rows)\n"
        "assert counts == count_window(state, rows)\n"
        "print(json.dumps([sorted(compared), [name for name in ('pandas', 'duckdb') if name in sys.modules]]))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout) == [["n", "x"], []]
