"""From landed files to raw tables: rows in = accepted + rejected + duplicates, whatever is in the files, each with its
position; and the rows beside a bad one stay."""

import csv
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.contracts.columns import Column, Registry
from lead_scoring_assets.lakehouse.content_hash import content_hash
from lead_scoring_assets.leads.ingestion import Arrivals, Arrived, ingest, raw_schema
from lead_scoring_assets.periods import Period, PeriodCalendar

CALENDAR = PeriodCalendar("month", datetime(2008, 5, 1, tzinfo=UTC))
MAY, JUNE, JULY = (CALENDAR.period(key) for key in ("2008-05", "2008-06", "2008-07"))
REGISTRY = Registry(
    {
        "age": Column(kind="integer", role="feature", minimum=15, maximum=110, why="w"),
        "job": Column(kind="category", role="feature", categories=("clerk", "other"), why="w"),
        "note": Column(kind="text", role="context", required=False, why="w"),
        "worth": Column(kind="number", role="context", required=False, why="w"),
    }
)
LEAD_NAMES = ["lead_id", "created_at", "known_at", "age", "job", "note", "worth"]
OUTCOME_NAMES = ["lead_id", "outcome", "outcome_at", "known_at"]


def lead(lead_id: str, **changes: str) -> dict[str, str]:
    row = {"lead_id": lead_id, "created_at": "2008-05-10", "known_at": "2008-05-11", "age": "42", "job": "clerk"}
    return {**row, "note": "", "worth": "", **changes}


def outcome(lead_id: str, **changes: str) -> dict[str, str]:
    row = {"lead_id": lead_id, "outcome": "lost", "outcome_at": "2008-05-20", "known_at": "2008-05-21"}
    return {**row, **changes}


def csv_of(names: list[str], rows: Iterable[dict[str, str]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([[row[name] for name in names] for row in rows])
    return text.getvalue()


def leads_csv(*rows: dict[str, str]) -> str:
    return csv_of(LEAD_NAMES, rows)


def outcomes_csv(*rows: dict[str, str]) -> str:
    return csv_of(OUTCOME_NAMES, rows)


@dataclass
class Crm:
    """A landing folder, and what has arrived from it so far."""

    landing: Path
    arrived: Arrived

    def land(self, period: Period, files: dict[str, str | bytes]) -> None:
        for name, content in files.items():
            entity, file = name.split("/")
            path = self.landing / entity / period.key / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def ingest(self, period: Period, files: dict[str, str | bytes]) -> Arrivals:
        """Land and ingest one period, and remember it for the next."""
        self.land(period, files)
        arrivals = ingest(self.landing, period, REGISTRY, self.arrived)
        assert_accounted_for(arrivals, self.landing)
        self.arrived = self.arrived.add(arrivals)
        return arrivals


def nothing_yet() -> Arrived:
    empty = [raw_schema(columns).empty_table() for columns in (REGISTRY.lead_columns, REGISTRY.outcome_columns)]
    return Arrived(*(table.to_pandas() for table in empty))


@pytest.fixture
def crm(tmp_path: Path) -> Crm:
    return Crm(tmp_path, nothing_yet())


def assert_accounted_for(arrivals: Arrivals, landing: Path) -> None:
    """For each file: counts add up, agree with the tables, and every position points at its text."""
    accepted = Counter(arrivals.leads["source_file"].to_pylist() + arrivals.outcomes["source_file"].to_pylist())
    rejected = Counter(arrivals.rejected["source_file"].to_pylist())
    for file in arrivals.files.to_pylist():
        assert file["rows_in"] == file["accepted"] + file["rejected"] + file["duplicates"]
        assert file["accepted"] == accepted.pop(file["source_file"], 0)
        assert file["rejected"] == rejected.pop(file["source_file"], 0)
    assert not accepted, "rows of a file that is not listed"
    assert not rejected, "rejected rows of a file that is not listed"
    positions = [
        (row["source_file"], row["source_line"])
        for table in (arrivals.leads, arrivals.outcomes, arrivals.rejected)
        for row in table.to_pylist()
    ]
    assert len(set(positions)) == len(positions), "a line is counted twice"
    for row in arrivals.rejected.to_pylist():
        assert row["reason"]
        assert row["raw_text"].split("\n")[0].split("\r")[0] == text_at(landing, row)[:2_000]
    for table in (arrivals.leads, arrivals.outcomes):
        for row in table.to_pylist():
            assert row["lead_id"] in text_at(landing, row)


def text_at(landing: Path, row: dict[str, Any]) -> str:
    text = (landing / row["source_file"]).read_bytes().decode("utf-8-sig", errors="surrogateescape")
    line = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[row["source_line"] - 1]
    return line.encode("utf-8", errors="replace").decode()


def reasons(arrivals: Arrivals) -> dict[int, str]:
    return dict(zip(arrivals.rejected["source_line"].to_pylist(), arrivals.rejected["reason"].to_pylist(), strict=True))


def ids(table: pa.Table) -> list[str]:
    found: list[str] = table["lead_id"].to_pylist()
    return found


def counts(arrivals: Arrivals) -> dict[str, tuple[int, int, int, int]]:
    return {
        f["source_file"]: (f["rows_in"], f["accepted"], f["rejected"], f["duplicates"])
        for f in arrivals.files.to_pylist()
    }


# --- What is good


def test_good_rows_are_typed_with_their_position(crm: Crm) -> None:
    arrivals = crm.ingest(
        MAY, {"leads/a.csv": leads_csv(lead("1"), lead("2", age="43", worth="1.5", note='a "b",\nc'))}
    )
    assert arrivals.leads.schema == raw_schema(REGISTRY.lead_columns)
    assert arrivals.leads.to_pylist()[1] == {
        "period": "2008-05",
        "lead_id": "2",
        "created_at": datetime(2008, 5, 10, tzinfo=UTC),
        "known_at": datetime(2008, 5, 11, tzinfo=UTC),
        "age": 43,
        "job": "clerk",
        "note": 'a "b",\nc',
        "worth": 1.5,
        "source_file": "leads/2008-05/a.csv",
        "source_line": 3,
    }
    assert counts(arrivals) == {"leads/2008-05/a.csv": (2, 2, 0, 0)}
    assert arrivals.files["problem"].to_pylist() == [None]


def test_nothing_landed_is_four_empty_tables(crm: Crm) -> None:
    arrivals = crm.ingest(MAY, {})
    assert [t.num_rows for t in (arrivals.leads, arrivals.outcomes, arrivals.rejected, arrivals.files)] == [0] * 4
    assert arrivals.outcomes.schema == raw_schema(REGISTRY.outcome_columns)


def test_files_without_rows_are_listed(crm: Crm) -> None:
    arrivals = crm.ingest(MAY, {"leads/a.csv": leads_csv(), "outcomes/a.csv": outcomes_csv()})
    assert counts(arrivals) == {"leads/2008-05/a.csv": (0, 0, 0, 0), "outcomes/2008-05/a.csv": (0, 0, 0, 0)}


def test_only_the_periods_own_files_are_read(crm: Crm) -> None:
    crm.land(JUNE, {"leads/a.csv": leads_csv(lead("2"))})
    assert ids(crm.ingest(MAY, {"leads/a.csv": leads_csv(lead("1"))}).leads) == ["1"]


# --- Rows that break their contract: named, while their neighbours stay


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (lead("2", age="-3"), "age: expected at least 15, found '-3'"),
        (lead("2", age=""), "age: is required and empty"),
        (lead("2", age="9" * 30), "age: expected a whole number up to 9,007,199,254,740,991"),
        (lead("2", job="boss"), "job: expected one of clerk, other, found 'boss'"),
        (lead("2", created_at="10.05.2008"), "created_at: expected an ISO 8601 date or time, found '10.05.2008'"),
        (lead("2", created_at="now"), "created_at: expected an ISO 8601 date or time, found 'now'"),
        (lead("2", known_at="soon"), "known_at: expected an ISO 8601 date or time, found 'soon'"),
        (lead(" "), "lead_id: is required and empty"),
        (lead("2", worth="1e999"), "worth: expected a number"),
        (lead("2", age="-3", job="boss"), "age: expected at least 15, found '-3'; job: expected one of"),
        (lead("2", created_at="2008-06-01T00:00:01"), "future of period 2008-05: created_at 2008-06-01 00:00:01"),
        (lead("2", known_at="2008-06-02"), "lies in the future of period 2008-05: created_at 2008-05-10"),
        (lead("2", created_at="2008-05-12"), "known_at 2008-05-11 00:00:00+00:00 is before created_at 2008-05-12"),
        (lead("2", note="x" * 200_000), "not readable as CSV (field larger than field limit (131072))"),
        (lead("2", note="a\0b"), "holds a NUL byte"),
    ],
)  # fmt: skip
def test_a_bad_lead_is_quarantined_beside_good_ones(bad: dict[str, str], told: str, crm: Crm) -> None:
    arrivals = crm.ingest(MAY, {"leads/a.csv": leads_csv(lead("1"), bad, lead("3"))})
    assert ids(arrivals.leads) == ["1", "3"]
    ((line, reason),) = reasons(arrivals).items()
    assert line == 3
    assert told in reason
    (row,) = arrivals.rejected.to_pylist()
    assert (row["period"], row["entity"], row["source_file"]) == ("2008-05", "leads", "leads/2008-05/a.csv")


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (outcome("nobody"), "lead_id: no lead 'nobody' has arrived so far"),
        (outcome("1", outcome_at="2008-05-09"), "outcome_at 2008-05-09 00:00:00+00:00 is before the lead was created"),
        (outcome("1", outcome="won"), "outcome: expected one of converted, disqualified, lost, found 'won'"),
        (outcome("1", outcome_at=""), "outcome_at: is required and empty"),
        (outcome("1", outcome_at="2008-06-02"), "lies in the future of period 2008-05: outcome_at 2008-06-02"),
        (outcome("1", known_at="2008-05-19"), "known_at 2008-05-19 00:00:00+00:00 is before outcome_at 2008-05-20"),
    ],
)
def test_a_bad_outcome_is_quarantined_beside_good_ones(bad: dict[str, str], told: str, crm: Crm) -> None:
    arrivals = crm.ingest(
        MAY,
        {"leads/a.csv": leads_csv(lead("1"), lead("2")), "outcomes/a.csv": outcomes_csv(bad, outcome("2"))},
    )
    assert ids(arrivals.outcomes) == ["2"]
    ((line, reason),) = reasons(arrivals).items()
    assert line == 2
    assert told in reason


def test_a_row_with_several_faults_in_time_names_them_all(crm: Crm) -> None:
    (told,) = reasons(crm.ingest(MAY, {"outcomes/a.csv": outcomes_csv(outcome("x", outcome_at="2008-07-01"))})).values()
    assert "lies in the future of period 2008-05" in told
    assert "known_at 2008-05-21 00:00:00+00:00 is before outcome_at 2008-07-01" in told
    assert "no lead 'x' has arrived so far" in told


def test_outcomes_before_any_lead_are_named(crm: Crm) -> None:
    arrivals = crm.ingest(MAY, {"outcomes/a.csv": outcomes_csv(outcome("1"), outcome("2"))})
    assert counts(arrivals) == {"outcomes/2008-05/a.csv": (2, 0, 2, 0)}


def test_an_outcome_finds_its_lead_in_this_and_in_earlier_periods_only(crm: Crm) -> None:
    crm.ingest(MAY, {"leads/a.csv": leads_csv(lead("1"))})
    late = outcome("1", outcome_at="2008-06-20", known_at="2008-06-21")
    arrivals = crm.ingest(
        JUNE,
        {
            "leads/a.csv": leads_csv(lead("2", created_at="2008-06-02", known_at="2008-06-03")),
            "outcomes/a.csv": outcomes_csv(late, {**late, "lead_id": "2"}, {**late, "lead_id": "3"}),
        },
    )
    assert ids(arrivals.outcomes) == ["1", "2"]
    assert reasons(arrivals) == {4: "lead_id: no lead '3' has arrived so far"}


def test_an_outcome_of_a_rejected_lead_has_no_lead(crm: Crm) -> None:
    files: dict[str, str | bytes] = {
        "leads/a.csv": leads_csv(lead("1", age="-1")),
        "outcomes/a.csv": outcomes_csv(outcome("1")),
    }
    assert crm.ingest(MAY, files).rejected["reason"].to_pylist() == [
        "age: expected at least 15, found '-1'",
        "lead_id: no lead '1' has arrived so far",
    ]


# --- When a row was known


@pytest.mark.parametrize(
    ("known_at", "stored"),
    [
        ("", "2008-07-01"),  # it came with June's export
        ("2008-05-11", "2008-07-01"),  # late: it claims May, and reached us in June
        ("2008-06-01", "2008-07-01"),  # the last instant of May
        ("2008-06-01T00:00:00.000001", "2008-06-01T00:00:00.000001"),
        ("2008-06-15T08:00:00+04:00", "2008-06-15T04:00"),
        ("2008-07-01", "2008-07-01"),  # the last instant of June
    ],
)
def test_a_row_is_known_no_earlier_than_its_period(known_at: str, stored: str, crm: Crm) -> None:
    arrivals = crm.ingest(JUNE, {"leads/a.csv": leads_csv(lead("1", known_at=known_at))})
    assert arrivals.leads["known_at"].to_pylist() == [datetime.fromisoformat(stored).replace(tzinfo=UTC)]
    assert arrivals.leads["created_at"].to_pylist() == [datetime(2008, 5, 10, tzinfo=UTC)]


def test_a_file_without_known_at_is_known_at_the_end(crm: Crm) -> None:
    names = [name for name in LEAD_NAMES if name != "known_at"]
    arrivals = crm.ingest(MAY, {"leads/a.csv": csv_of(names, [lead("1")])})
    assert arrivals.leads["known_at"].to_pylist() == [MAY.end]


# --- Duplicates


def test_the_same_row_again_is_counted_once(crm: Crm) -> None:
    files: dict[str, str | bytes] = {
        "leads/a.csv": leads_csv(lead("1"), lead("2"), lead("1")),
        "leads/b.csv": leads_csv(lead("2", known_at="2008-05-12"), lead("3", worth="1.50"), lead("3", worth="1.5")),
    }
    arrivals = crm.ingest(MAY, files)
    assert ids(arrivals.leads) == ["1", "2", "3"]
    assert counts(arrivals) == {"leads/2008-05/a.csv": (3, 2, 0, 1), "leads/2008-05/b.csv": (3, 1, 0, 2)}
    again = crm.ingest(JUNE, {"leads/a.csv": leads_csv(lead("1"), lead("4"), lead("3", worth="1.5"))})
    assert ids(again.leads) == ["4"]
    assert counts(again) == {"leads/2008-06/a.csv": (3, 1, 0, 2)}


@pytest.mark.parametrize("where", ["same file", "next file", "next period"])
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"age": "43"}, "(age 42 → 43)"),
        ({"created_at": "2008-05-09"}, "(created_at 2008-05-10 00:00:00+00:00 → 2008-05-09 00:00:00+00:00)"),
        ({"note": "x", "worth": "2"}, "(note "),
    ],
)
def test_the_same_id_with_other_values_is_a_contradiction(
    changes: dict[str, str], told: str, where: str, crm: Crm
) -> None:
    first, other = lead("1"), lead("1", **changes)
    if where == "same file":
        arrivals = crm.ingest(MAY, {"leads/a.csv": leads_csv(first, other, lead("2"))})
    elif where == "next file":
        arrivals = crm.ingest(MAY, {"leads/a.csv": leads_csv(first), "leads/b.csv": leads_csv(other, lead("2"))})
    else:
        crm.ingest(MAY, {"leads/a.csv": leads_csv(first)})
        arrivals = crm.ingest(JUNE, {"leads/a.csv": leads_csv(other, lead("2"))})
    (reason,) = reasons(arrivals).values()
    assert reason.startswith("lead_id '1' has already arrived with other values (")
    assert told in reason
    assert "2" in ids(arrivals.leads)


def test_an_outcome_comes_once(crm: Crm) -> None:
    crm.ingest(MAY, {"leads/a.csv": leads_csv(lead("1"))})
    won, lost = outcome("1", outcome="converted"), outcome("1", outcome="lost")
    arrivals = crm.ingest(MAY, {"outcomes/a.csv": outcomes_csv(won, won, lost)})
    assert counts(arrivals)["outcomes/2008-05/a.csv"] == (3, 1, 1, 1)
    assert arrivals.outcomes["outcome"].to_pylist() == ["converted"]
    assert "(outcome converted → lost)" in next(iter(reasons(arrivals).values()))


def test_a_rejected_row_does_not_keep_out_its_correction(crm: Crm) -> None:
    arrivals = crm.ingest(MAY, {"leads/a.csv": leads_csv(lead("1", age="-3"), lead("1"), lead("1"))})
    assert ids(arrivals.leads) == ["1"]
    assert counts(arrivals) == {"leads/2008-05/a.csv": (3, 1, 1, 1)}
    assert ids(crm.ingest(JUNE, {"leads/a.csv": leads_csv(lead("2", age="x"))}).leads) == []
    assert ids(crm.ingest(JULY, {"leads/a.csv": leads_csv(lead("2"))}).leads) == ["2"]


# --- Bad files: named, counted, and the other files stay

GOOD = leads_csv(lead("1"), lead("2"), lead("3", note="a, b"))


@pytest.mark.parametrize(
    ("name", "content", "told", "rejected"),
    [
        ("b.csv", "", "is empty: expected a header line", 0),
        ("b.csv", GOOD.replace(",", ";"), "expected commas between the columns, found a semicolon", 3),
        ("b.csv", GOOD.replace("age", "years"), "columns ['age'] are missing", 3),
        ("b.csv", GOOD.replace("note", "age"), "columns ['age'] occur more than once", 3),
        ("b.csv", GOOD.encode("utf-16"), "holds a NUL byte; the file is damaged, or not UTF-8 text", None),
        ("b.xlsx", GOOD, "expected a .csv file, found .xlsx", 0),
        ("b.csv", "\0" * 100, "holds a NUL byte", 0),
    ],
    ids=["empty", "semicolons", "missing column", "repeated column", "UTF-16", "ending", "zeros"],
)
def test_a_bad_file_is_named_and_the_others_stay(
    name: str, content: str | bytes, told: str, rejected: int | None, crm: Crm
) -> None:
    others: dict[str, str | bytes] = {"leads/a.csv": leads_csv(lead("8")), "leads/c.csv": leads_csv(lead("9"))}
    arrivals = crm.ingest(MAY, {**others, f"leads/{name}": content})
    assert ids(arrivals.leads) == ["8", "9"]
    problems = {f["source_file"]: f["problem"] for f in arrivals.files.to_pylist() if f["problem"]}
    assert list(problems) == [f"leads/2008-05/{name}"]
    assert told in problems[f"leads/2008-05/{name}"]
    if rejected is not None:
        assert arrivals.rejected.num_rows == rejected
    assert all(told in reason for reason in reasons(arrivals).values())


@pytest.mark.parametrize(
    "content",
    ["\ufeff" + GOOD, GOOD.replace("\n", "\r\n"), GOOD.replace("\n", "\n\n")],
    ids=["BOM", "CRLF", "blank lines"],
)
def test_other_spellings_of_a_file_are_the_same_rows(content: str, crm: Crm) -> None:
    arrivals = crm.ingest(MAY, {"leads/a.csv": content})
    assert ids(arrivals.leads) == ["1", "2", "3"]
    assert arrivals.rejected.num_rows == 0


def test_an_extra_column_is_noted_and_its_rows_are_kept(crm: Crm) -> None:
    arrivals = crm.ingest(MAY, {"leads/a.csv": csv_of([*LEAD_NAMES, "colour"], [{**lead("1"), "colour": "red"}])})
    assert ids(arrivals.leads) == ["1"]
    assert "columns ['colour'] are not in the contract" in arrivals.files["note"][0].as_py()


@pytest.mark.parametrize("kind", ["cell", "quote", "line", "bytes"])
def test_a_file_that_is_ten_percent_corrupt_keeps_the_other_ninety(kind: str, crm: Crm) -> None:
    lines = leads_csv(*(lead(f"L{n}", note=f"n {n}") for n in range(200))).encode().splitlines(keepends=True)
    spoil = {
        "cell": lambda line: line.replace(b",42,", b",-42,"),
        "quote": lambda line: line.replace(b",n ", b',"n '),
        "line": lambda line: line[:20] + b"\n",
        "bytes": lambda line: line.replace(b"n ", b"\xff\xfe"),
    }[kind]
    bad = range(5, 201, 10)
    arrivals = crm.ingest(MAY, {"leads/a.csv": b"".join(spoil(x) if n in bad else x for n, x in enumerate(lines))})
    assert counts(arrivals) == {"leads/2008-05/a.csv": (200, 180, 20, 0)}
    assert list(reasons(arrivals)) == [n + 1 for n in bad]
    assert ids(arrivals.leads) == [f"L{n - 1}" for n in range(1, 201) if n not in bad]


# --- Any corruption

BASE = leads_csv(
    *(
        lead(f"L{n:02}", age=str(20 + n), note=note)
        for n, note in enumerate(["", "x", "a, b", 'say "hi"', "two\nlines", "é", ""] * 2)
    )
).encode()

Edit = tuple[str, int, int]
edits = st.lists(
    st.tuples(
        st.sampled_from(["flip", "quote", "newline", "delete", "double", "cut"]),
        st.integers(0, 10_000),
        st.integers(1, 255),
    ),
    min_size=1,
    max_size=6,
)


def corrupt(content: bytes, changes: list[Edit]) -> bytes:
    for kind, place, with_byte in changes:
        lines = content.splitlines(keepends=True)
        at = place % max(1, len(content))
        line = place % max(1, len(lines))
        if kind == "flip":
            content = content[:at] + bytes([content[at] ^ with_byte]) + content[at + 1 :] if content else content
        elif kind in ("quote", "newline"):
            content = content[:at] + {"quote": b'"', "newline": b"\n"}[kind] + content[at:]
        elif kind == "delete":
            content = b"".join(lines[:line] + lines[line + 1 :])
        elif kind == "double":
            content = b"".join(lines[: line + 1] + lines[line:])
        else:
            content = content[:at]
    return content


def records(content: bytes) -> dict[str, bytes]:
    """Text of each one-line record of the base file, by lead id."""
    return {
        line.split(b",")[0].decode(): line for line in content.splitlines(keepends=True)[1:] if line.count(b",") >= 6
    }


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("landing")


@settings(max_examples=60, deadline=None)
@given(edits)
def test_no_corruption_loses_or_doubles_a_row(scratch: Path, changes: list[Edit]) -> None:
    """Truncated, flipped, deleted, doubled: ingestion never raises, and every row is accounted for at its position."""
    crm = Crm(scratch, nothing_yet())
    crm.ingest(MAY, {"leads/a.csv": corrupt(BASE, changes)})
    crm.ingest(MAY, {"leads/a.csv": BASE})


def one_line_change(line: bytes, kind: str, place: int, byte: int) -> bytes:
    body, at = line.rstrip(b"\n"), place % len(line.rstrip(b"\n"))
    if kind == "flip":
        body = body[:at] + bytes([byte]) + body[at + 1 :]
    elif kind == "quote":
        body = body[:at] + b'"' + body[at:]
    else:
        body = body[:at]
    return body + b"\n"


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["L01", "L03", "L07", "L08", "L12"]),
        st.tuples(st.sampled_from(["flip", "quote", "cut"]), st.integers(0, 1_000), st.sampled_from(b'",;x\xff\0 ')),
        min_size=1,
    )
)
def test_rows_that_were_not_touched_stay(scratch: Path, changes: dict[str, tuple[str, int, int]]) -> None:
    """Whatever happens inside some lines, quotes included, every row on other lines is accepted as it was."""
    crm = Crm(scratch, nothing_yet())
    spoiled = BASE
    for lead_id, change in changes.items():
        line = records(BASE)[lead_id]
        assert spoiled.count(line) == 1
        spoiled = spoiled.replace(line, one_line_change(line, *change))
    accepted = set(ids(crm.ingest(MAY, {"leads/a.csv": spoiled}).leads))
    assert {f"L{n:02}" for n in range(14)} - set(changes) <= accepted


# --- The same again


def test_the_same_files_give_the_same_rows(crm: Crm, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "leads/b.csv": leads_csv(lead("3"), lead("1", age="99"), lead("4", age="-1")),
        "leads/a.csv": leads_csv(lead("1"), lead("2"), lead("1")),
        "outcomes/a.csv": outcomes_csv(outcome("2"), outcome("9"), outcome("2")),
    }
    crm.land(MAY, files)
    one, other = (ingest(tmp_path, MAY, REGISTRY, nothing_yet()) for _ in range(2))
    for table in ("leads", "outcomes", "rejected", "files"):
        assert getattr(one, table).num_rows > 0
        assert content_hash(getattr(one, table)) == content_hash(getattr(other, table))
    assert one.leads.filter(pa.compute.equal(one.leads["lead_id"], "1"))["age"].to_pylist() == [42]


def test_ingesting_compares_with_earlier_periods_and_changes_nothing_there(crm: Crm) -> None:
    first = crm.ingest(MAY, {"leads/a.csv": leads_csv(lead("1"), lead("2"))})
    before = crm.arrived.rows("leads")[1].copy()
    ingest(crm.landing, JUNE, REGISTRY, crm.arrived)
    crm.land(JUNE, {"leads/a.csv": leads_csv(lead("1", age="50"))})
    ingest(crm.landing, JUNE, REGISTRY, crm.arrived)
    pd.testing.assert_frame_equal(crm.arrived.rows("leads")[1], before)
    assert ids(first.leads) == ["1", "2"]
