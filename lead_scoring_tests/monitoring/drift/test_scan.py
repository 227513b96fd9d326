"""Tables counted by DuckDB: the same bins as frames, sums of parts, groups, and columns that nobody can read."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.monitoring.drift.counts import Counts, total
from lead_scoring_assets.monitoring.drift.reference import build_reference, count_frame, read_frame
from lead_scoring_assets.monitoring.drift.reference_rows import to_rows
from lead_scoring_assets.monitoring.drift.reference_state import MISSINGNESS, ReferenceState
from lead_scoring_assets.monitoring.drift.row_by_row import compare_rows, reference_of_rows
from lead_scoring_assets.monitoring.drift.scan import count_rows
from lead_scoring_assets.monitoring.drift.verdict import Limits, measure_counts

NUMERIC = ["x", "small", "text", "flag"]
CATEGORICAL = ["c", "code", "group", "tail"]
seeds = st.integers(0, 2**32 - 1)


def messy(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    x = rng.normal(size=rows).round(1)
    for share, value in ((0.1, np.nan), (0.05, np.inf), (0.05, -np.inf)):
        x[rng.random(rows) < share] = value
    return pd.DataFrame(
        {
            "x": x,
            "small": rng.poisson(0.3, rows),
            "text": rng.choice(np.array(["1.5", "-2", "n/a", None, "nan", "inf"], dtype=object), rows),
            "flag": rng.random(rows) < 0.3,
            "c": rng.choice(np.array(["a", "b", None, "it's"], dtype=object), rows),
            "code": rng.choice([1.0, 2.5, np.nan], rows),
            "group": rng.choice(["g1", "g2"], rows),
            "tail": np.minimum(rng.zipf(1.5, rows), 10**6).astype(str),
        }
    )


def table(frame: pd.DataFrame) -> pa.Table:
    """With NaN as NaN in `x`, which pyarrow would make NULL, and NULL as NULL in the others."""
    made = pa.Table.from_pandas(frame, preserve_index=False)
    return made.set_column(0, "x", pa.array(frame["x"].to_numpy()))


def tables(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    return messy(rng, 400), messy(rng, 300)


@settings(max_examples=8)
@given(seeds)
def test_a_table_gives_the_reference_counts_and_distances_of_the_same_frame(seed: int) -> None:
    before, now = tables(seed)
    of_frame = build_reference(before, NUMERIC, CATEGORICAL)
    of_table = reference_of_rows(table(before), NUMERIC, CATEGORICAL)
    for one, other in zip(to_rows(of_frame), to_rows(of_table), strict=True):
        assert one["content"] == other["content"]
        assert one["finite_values"] == other["finite_values"]
    counts, exact = read_frame(of_frame, now)
    assert count_rows(of_table, table(now)) == {(): counts}
    assert compare_rows(of_table, table(now)) == exact


@settings(max_examples=8)
@given(seeds, st.integers(0, 300))
def test_counts_of_parts_and_of_groups_add_up_to_those_of_the_whole(seed: int, cut: int) -> None:
    before, now = tables(seed)
    state = reference_of_rows(table(before), NUMERIC, CATEGORICAL, segments=["group"])
    whole = count_rows(state, table(now))[()]
    parts = [count_rows(state, table(part))[()] for part in (now[:cut], now[cut:])]
    assert parts[0] + parts[1] == whole == parts[1] + parts[0]
    groups = count_rows(state, table(now), by=["group"])
    assert set(groups) == {("g1",), ("g2",)}
    assert total(groups.values()) == whole
    of_frame = [count_frame(state, now[now["group"] == group]) for group in ("g1", "g2")]
    assert [groups["g1",], groups["g2",]] == of_frame
    assert all(sum(rows) == whole.n_rows for rows in whole.bins.values())


def test_where_the_reference_holds_no_number_every_finite_one_is_outside() -> None:
    before = pd.DataFrame({"x": [np.nan, np.inf] * 20, "y": [np.nan, 1.0] * 20})
    now = pd.DataFrame({"x": [1.0, -2.0, np.nan, np.inf, -np.inf], "y": [1.0, 0.5, np.nan, np.inf, -np.inf]})
    state = reference_of_rows(pa.table(before), ["x", "y"], [])
    counts = count_rows(state, pa.table(now))[()]
    assert counts == count_frame(state, now)
    assert counts.outside == {"x": 2, "y": 1}


def test_counts_of_different_bins_do_not_add() -> None:
    with pytest.raises(ValueError, match="Counts of different references cannot be added: x differ in bins"):
        Counts(1, {"x": (1,)}) + Counts(1, {"x": (1, 0)})


def test_a_part_that_was_not_counted_is_a_problem_of_the_sum() -> None:
    whole = Counts(1, {"x": (1,), "y": (1,)}) + Counts(2, {"y": (2,)}, problems={"x": "x was away"})
    assert whole == Counts(3, {"y": (3,)}, {}, {"x": "x was away"})
    assert (Counts(1, {"x": (1,)}) + Counts(2)).problems == {"x": "x was counted in a part of the window only."}


def test_more_columns_with_gaps_than_bits_in_a_word() -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({f"x{i:03}": np.where(rng.random(200) < 0.02, np.nan, 1.0) for i in range(130)})
    names = list(frame)
    of_frame, of_table = build_reference(frame, names, []), reference_of_rows(pa.table(frame), names, [])
    assert of_frame.missingness is not None
    assert of_table.missingness is not None
    assert of_frame.missingness.rare_categories == of_table.missingness.rare_categories
    assert sum(of_table.missingness.bin_counts) == 200


def test_columns_that_go_missing_together_are_seen_where_each_alone_has_not_changed() -> None:
    """A fifth of each column is missing, before in different rows and now in the same ones."""
    rng = np.random.default_rng(4)
    gaps = rng.random((2, 5_000)) < 0.2
    apart = pd.DataFrame({"x": np.where(gaps[0], np.nan, 1.0), "y": np.where(gaps[1], np.nan, 1.0)})
    together = pd.DataFrame({"x": np.where(gaps[0], np.nan, 1.0), "y": np.where(gaps[0], np.nan, 1.0)})
    state = reference_of_rows(pa.table(apart), ["x", "y"], [])
    counts = count_rows(state, pa.table(together))[()]
    assert {drift.status for drift in measure_counts(state, counts, Limits())} == {"ok"}
    assert state.missingness is not None
    patterns = ReferenceState(state.n_rows, state.bins, (state.missingness,))
    [found] = measure_counts(patterns, counts, Limits())
    assert (found.feature, found.status) == (MISSINGNESS, "drift")
    assert state.missingness.bin_labels[:4] == ("nothing missing", *sorted(["x", "y"], key=_share(apart)), "x, y")


def _share(frame: pd.DataFrame):
    return lambda name: -int((frame[name].isna() & ~frame.drop(columns=name).isna().any(axis=1)).sum())


def test_a_column_that_cannot_be_read_stops_no_other(tmp_path: Path) -> None:
    """Text that is not UTF-8 lies in the file; DuckDB refuses the column, and only the column."""
    texts = pa.py_buffer(b"\xff\xfe" * 300), pa.py_buffer(np.arange(0, 602, 2, dtype=np.int32).tobytes())
    bad = pa.Array.from_buffers(pa.string(), 300, [None, texts[1], texts[0]])
    good = pa.table({"n": ["1", "2"] * 150, "bad": ["a", "b"] * 150, "fine": [1.0, 2.0] * 150, "c": ["x", "y"] * 150})
    state = reference_of_rows(good, ["n", "fine"], ["bad", "c"])
    lakehouse = Lakehouse(tmp_path / "lakehouse")
    spoiled = good.set_column(0, "n", bad).set_column(1, "bad", bad).append_column("period", pa.array(["p"] * 300))
    lakehouse.replace_periods("leads", ["p"], spoiled)
    rows = lakehouse.scan("leads")
    counts = count_rows(state, rows)[()]
    assert set(counts.problems) == {"n", "bad", MISSINGNESS}
    assert counts.problems["n"].startswith("n cannot be read as numeric: ")
    statuses = [drift.status for drift in measure_counts(state, counts, Limits(), compare_rows(state, rows))]
    assert statuses == ["not_computable", "ok", "not_computable", "ok"]


@pytest.mark.parametrize("n", [0, 1])
def test_empty_and_one_row_tables_are_insufficient_and_one_class_is_not_special(n: int) -> None:
    before = pa.table({"x": [1.0] * 300, "c": ["only"] * 300})
    state = reference_of_rows(before, ["x"], ["c"])
    found = measure_counts(state, count_rows(state, before.slice(0, n))[()], Limits())
    assert {drift.status for drift in found} == {"insufficient_data"}
    same = measure_counts(state, count_rows(state, before)[()], Limits())
    assert [(drift.psi, drift.status) for drift in same] == [(0, "ok"), (0, "ok")]


def test_a_hundred_thousand_categories_and_dates_in_a_number_column() -> None:
    before = pa.table({"id": [str(i) for i in range(300)], "when": pa.array([1] * 300, pa.int64())})
    state = reference_of_rows(before, ["when"], ["id"])
    now = pa.table(
        {"id": [f"n{i}" for i in range(100_000)], "when": pa.array(range(100_000), pa.timestamp("us", tz="UTC"))}
    )
    when, identifier = measure_counts(state, count_rows(state, now)[()], Limits())
    assert identifier.status == "ok"  # every identifier was new in the reference too
    assert identifier.new_category_share == 1
    assert count_rows(state, now)[()].bins["when"] == (0, 0, 100_000, 0)
    # Of 300 rows beside 100,000 fewer than one is expected in any bin but one: that is no answer, and not "no drift".
    assert when.status == "insufficient_data"
    assert "no two bins hold enough of the 300 reference and 100000 current rows" in when.reason
    [when, _] = measure_counts(state, count_rows(state, now.slice(0, 5_000))[()], Limits())
    assert when.status == "drift"
