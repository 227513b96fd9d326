"""Which rows say something new, held against the rule written down once more in plain Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.contracts.columns import OUTCOME_COLUMNS, Column, Entity, Registry
from lead_scoring_assets.leads.entity_arrival import raw_schema
from lead_scoring_assets.leads.statements import PLACE, STATED, decide, staged_names
from lead_scoring_tests.leads.instants import utc

START = utc("2024-05-01")
LEAD_COLUMNS = Registry({"age": Column(kind="integer", role="feature", why="w")}).lead_columns


@dataclass(frozen=True)
class Row:
    """A lead or an outcome: what it is about, what it says, when that was known, and whether the file said so."""

    name: str
    event: int
    says: str | int | None
    known: int
    is_stated: bool = True


def at(day: int) -> datetime:
    return START + timedelta(days=day)


def row_values(entity: Entity, row: Row) -> dict[str, object]:
    if entity == "leads":
        return {"lead_id": row.name, "created_at": at(row.event), "known_at": at(row.known), "age": row.says}
    values = {"lead_id": row.name, "outcome": row.says, "outcome_at": at(row.event), "known_at": at(row.known)}
    return {name: values.get(name) for name in OUTCOME_COLUMNS}


def decided(entity: Entity, rows: Sequence[Row], earlier: Sequence[tuple[Row, int]], scratch: Path) -> list[int | str]:
    """For each row its version, 'duplicate' or 'rejected'."""
    columns = LEAD_COLUMNS if entity == "leads" else OUTCOME_COLUMNS
    stored = pa.Table.from_pylist(
        [{**row_values(entity, row), "version": version, "period": "2024-04"} for row, version in earlier],
        schema=raw_schema(columns),
    )
    staged = pa.Table.from_pylist([row_values(entity, row) for row in rows], schema=raw_schema(columns))
    staged = staged.select(list(columns)).rename_columns(list(staged_names(columns).values()))
    staged = staged.append_column(PLACE, pa.array(range(len(rows)), pa.int64()))
    staged = staged.append_column(STATED, pa.array([row.is_stated for row in rows], pa.bool_()))
    found = decide(entity, columns, staged, pads.dataset(stored), scratch)
    told: list[int | str] = [1] * len(rows)
    for place, version in zip(found.versions[PLACE].to_pylist(), found.versions["version"].to_pylist(), strict=True):
        told[place] = "rejected" if place in found.reasons else "duplicate" if version is None else version
    return told


def decided_slowly(entity: Entity, rows: Sequence[Row], earlier: Sequence[tuple[Row, int]]) -> list[int | str]:
    """Row by row, in order of when each was known."""
    told: list[int | str] = [0] * len(rows)
    order = sorted(range(len(rows)), key=lambda n: (not rows[n].is_stated, rows[n].known, rows[n].event, n))
    for name in {row.name for row in rows}:
        versions = [before for before, _ in sorted(earlier, key=lambda pair: pair[1]) if before.name == name]
        said = {(before.event, before.says) for before in versions}
        own = [n for n in order if rows[n].name == name]

        def counts(n: int, said: frozenset[tuple[int, object]] = frozenset(said)) -> bool:
            return rows[n].is_stated or (rows[n].event, rows[n].says) not in said

        taken: set[tuple[int, int, object]] = set()
        for n in own:
            row, statement = rows[n], (rows[n].event, rows[n].says)
            rivals = [m for m in own if counts(m) and (rows[m].known, rows[m].event) == (row.known, row.event)]
            if entity == "outcomes" and counts(n) and any(rows[m].says != row.says for m in rivals):
                told[n] = "rejected"
                continue
            if entity == "leads" and row.event != (versions[0] if versions else rows[own[0]]).event:
                told[n] = "rejected"
                continue
            is_current = bool(versions) and statement == (versions[-1].event, versions[-1].says)
            is_copy = (row.known, *statement) in taken  # the same moment once more brings nothing back
            is_stale = not row.is_stated and statement in said
            taken.add((row.known, *statement))
            if is_current or is_copy or is_stale:
                told[n] = "duplicate"
                continue
            versions.append(row)
            said.add(statement)
            told[n] = len(versions)
    return told


def rows_of(says: st.SearchStrategy[str | int | None]) -> st.SearchStrategy[list[Row]]:
    stated = st.builds(Row, st.sampled_from("ab"), st.integers(-2, 0), says, st.integers(1, 4))
    unstated = st.builds(Row, st.sampled_from("ab"), st.integers(-2, 0), says, st.just(31), st.just(False))
    return st.lists(stated | unstated, max_size=10)


def chain(says: list[str | int | None], event: int) -> list[tuple[Row, int]]:
    """Earlier versions of one id: successive ones say different things."""
    kept = [one for n, one in enumerate(says) if n == 0 or one != says[n - 1]]
    return [(Row("a", event, one, -20 + n), n + 1) for n, one in enumerate(kept)]


ages = st.sampled_from([20, 21, None])
ends = st.sampled_from(["lost", "converted", "open"])


@settings(max_examples=50)
@given(rows_of(ages), st.lists(ages, max_size=3), st.integers(-2, 0))
def test_leads_are_told_apart_as_the_rule_says(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], before: list[str | int | None], event: int
) -> None:
    earlier = chain(before, event)
    scratch = tmp_path_factory.getbasetemp()
    assert decided("leads", rows, earlier, scratch) == decided_slowly("leads", rows, earlier)


@settings(max_examples=50)
@given(rows_of(ends), st.lists(ends, max_size=3), st.integers(-2, 0))
def test_outcomes_are_told_apart_as_the_rule_says(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], before: list[str | int | None], event: int
) -> None:
    earlier = chain(before, event)
    scratch = tmp_path_factory.getbasetemp()
    assert decided("outcomes", rows, earlier, scratch) == decided_slowly("outcomes", rows, earlier)


@pytest.mark.parametrize(
    ("before", "rows", "expected"),
    [
        ([], [Row("a", 0, 20, 3)], [1]),
        ([20], [Row("a", 0, 20, 3)], ["duplicate"]),
        ([20, 21], [Row("a", 0, 20, 3)], [3]),
        ([20, 21], [Row("a", 0, 20, 31, False)], ["duplicate"]),
        ([20, 21], [Row("a", 0, 20, 3), Row("a", 0, 21, 31, False)], [3, "duplicate"]),
        ([20], [Row("a", 0, 21, 3), Row("a", 0, 20, 2), Row("a", 0, 20, 4)], [2, "duplicate", 3]),
        ([20], [Row("a", -1, 20, 3), Row("b", -1, 20, 3)], ["rejected", 1]),
    ],
)
def test_examples_of_the_rule(before: list[int], rows: list[Row], expected: list[int | str], tmp_path: Path) -> None:
    assert decided("leads", rows, chain(list(before), 0), tmp_path) == expected
