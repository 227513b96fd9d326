"""References survive the table they are kept in, bit for bit, and are named by their content."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.monitoring.drift.kept_reference import KeptReference, definition_of, find, keep, with_values
from lead_scoring_assets.monitoring.drift.reference_rows import from_rows, holding, reference_id, to_rows
from lead_scoring_assets.monitoring.drift.reference_state import ReferenceState
from lead_scoring_assets.monitoring.drift.row_by_row import reference_of_rows
from lead_scoring_assets.monitoring.drift.scan import count_rows

NUMERIC, CATEGORICAL = ["x", "constant", "empty", "absent", "day"], ["city"]
DEFINITION = definition_of(10, [*NUMERIC, *CATEGORICAL], ["city"])


def rows() -> pa.Table:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "x": np.concatenate([rng.normal(size=500) * 1e-17, [np.nan, np.inf, 0.1 + 0.2]]),
            "constant": 1.0,
            "empty": np.nan,
            "day": rng.integers(1, 32, 503),
            "city": [*rng.choice(list("abc"), 501), "Zürich", None],
        }
    )
    return pa.Table.from_pandas(frame, preserve_index=False)


def state() -> ReferenceState:
    return reference_of_rows(rows(), NUMERIC, CATEGORICAL, segments=["city"])


def kept(lakehouse: Lakehouse, reference: ReferenceState, fingerprint: str = "f", version: int = 1) -> KeptReference:
    return keep(lakehouse, reference, definition=DEFINITION, version=version, fingerprint=fingerprint, period="2008-08")


def test_a_reference_survives_the_table_bit_for_bit(tmp_path: Path) -> None:
    lakehouse, before = Lakehouse(tmp_path / "lakehouse"), state()
    name = kept(lakehouse, before).id
    found = find(lakehouse, "f", DEFINITION)
    assert found is not None
    assert count_rows(found.state, rows()) == count_rows(before, rows())
    after = with_values(lakehouse, found)
    assert name == found.id == reference_id(after) == reference_id(before)
    for old, new in zip(before.columns, after.columns, strict=True):
        assert old.edges == new.edges
        assert old.sorted_values.tobytes() == new.sorted_values.tobytes()
    assert count_rows(after, rows()) == count_rows(before, rows())
    assert after.segments == before.segments
    assert set(after.segments["city"]) == {"a", "b", "c", "Zürich", "missing"}


def test_rows_may_come_in_any_order_and_twice() -> None:
    told = list(to_rows(state()))
    twice = pa.Table.from_pylist([*reversed(told), *told])
    assert reference_id(holding(from_rows(twice.to_pylist()), twice)) == reference_id(state())


def test_the_name_follows_every_value() -> None:
    frame = rows().to_pandas()
    names = {reference_id(state())}
    for row, column, value in [(0, "x", 1e-16), (1, "city", "b2"), (2, "day", 40)]:
        changed = frame.astype({column: object}).copy()
        changed.loc[row, column] = value
        changed = changed.astype({column: frame[column].dtype})
        table = pa.Table.from_pandas(changed, preserve_index=False)
        names.add(reference_id(reference_of_rows(table, NUMERIC, CATEGORICAL, segments=["city"])))
    assert len(names) == 4


def test_a_model_finds_its_own_reference_of_its_own_definition(tmp_path: Path) -> None:
    lakehouse = Lakehouse(tmp_path / "lakehouse")
    assert find(lakehouse, "f", DEFINITION) is None
    other = reference_of_rows(rows().slice(0, 400), NUMERIC, CATEGORICAL)
    mine, theirs = kept(lakehouse, state()), kept(lakehouse, other, "g", 2)
    for fingerprint, expected in (("f", mine), ("g", theirs)):
        found = find(lakehouse, fingerprint, DEFINITION)
        assert found is not None
        assert found.id == expected.id
    assert find(lakehouse, "f", definition_of(10, NUMERIC, ["city"])) is None


def test_two_processes_that_kept_it_at_once_kept_one(tmp_path: Path) -> None:
    lakehouse = Lakehouse(tmp_path / "lakehouse")
    assert kept(lakehouse, state()).id == kept(lakehouse, state()).id
    found = find(lakehouse, "f", DEFINITION)
    assert found is not None
    assert len(found.state.columns) == len(NUMERIC) + len(CATEGORICAL)
