"""From landed files to raw tables: rows in = accepted + rejected + duplicates, whatever is in the files, each with its
position; and the rows beside a bad one stay."""

import csv
import io
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lead_scoring_assets.contracts.columns import ENTITIES, RAW_TABLES, Entity
from lead_scoring_assets.errors import SourceError
from lead_scoring_assets.lakehouse.content_hash import content_hash
from lead_scoring_assets.leads import entity_arrival
from lead_scoring_assets.leads.entity_arrival import raw_schema
from lead_scoring_assets.leads.ingestion import Arrivals, ingest
from lead_scoring_assets.leads.landing import Landing
from lead_scoring_assets.periods import Period
from lead_scoring_assets.settings import parse_settings
from lead_scoring_tests.leads.instants import utc

SETTINGS = parse_settings(
    """
name: test
periods: {start: 2008-05-01}
columns:
  age: {kind: integer, role: feature, minimum: 15, maximum: 110, why: w}
  job: {kind: category, role: feature, categories: [clerk, other], why: w}
  note: {kind: text, role: context, required: false, why: w}
  worth: {kind: number, role: context, required: false, why: w}
activities: {types: [visit, call]}
""",
    "test",
)
REGISTRY = SETTINGS.registry
MAY, JUNE, JULY = (SETTINGS.calendar.period(key) for key in ("2008-05", "2008-06", "2008-07"))
LEAD_NAMES = ["lead_id", "created_at", "known_at", "age", "job", "note", "worth"]
OUTCOME_NAMES = ["lead_id", "outcome", "outcome_at", "known_at", "reason", "deal_value", "currency"]
ACTIVITY_NAMES = ["activity_id", "lead_id", "occurred_at", "known_at", "activity_type", "detail"]


def lead(lead_id: str, **changes: str) -> dict[str, str]:
    row = {"lead_id": lead_id, "created_at": "2008-05-10", "known_at": "2008-05-11", "age": "42", "job": "clerk"}
    return {**row, "note": "", "worth": "", **changes}


def outcome(lead_id: str, **changes: str) -> dict[str, str]:
    row = {"lead_id": lead_id, "outcome": "lost", "outcome_at": "2008-05-20", "known_at": "2008-05-21"}
    return {**row, "reason": "", "deal_value": "", "currency": "", **changes}


def activity(activity_id: str, **changes: str) -> dict[str, str]:
    row = {"activity_id": activity_id, "lead_id": "1", "occurred_at": "2008-05-15", "known_at": "2008-05-16"}
    return {**row, "activity_type": "visit", "detail": "", **changes}


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


def activities_csv(*rows: dict[str, str]) -> str:
    return csv_of(ACTIVITY_NAMES, rows)


class Crm:
    """A landing folder, and what has arrived from it so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "landing"
        self.landing = Landing.open(None, self.folder, folder)
        self.stored: dict[Entity, list[pa.Table]] = {
            entity: [raw_schema(REGISTRY.columns(entity)).empty_table()] for entity in ENTITIES
        }

    def land(self, period: Period, files: dict[str, str | bytes]) -> None:
        for name, content in files.items():
            entity, file = name.split("/")
            path = self.folder / entity / period.key / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def read(self, period: Period) -> Arrivals:
        earlier = {entity: pads.dataset(pa.concat_tables(tables)) for entity, tables in self.stored.items()}
        arrivals = ingest(self.landing, period, SETTINGS, earlier, self.folder.parent / "scratch")
        assert_accounted_for(arrivals, self.folder)
        return arrivals

    def ingest(self, period: Period, files: dict[str, str | bytes]) -> Arrivals:
        """Land and ingest one period, and remember it for the next."""
        self.land(period, files)
        arrivals = self.read(period)
        for entity in ENTITIES:
            self.stored[entity].append(arrivals.raw[entity])
        return arrivals


@pytest.fixture
def crm(tmp_path: Path) -> Crm:
    return Crm(tmp_path)


def assert_accounted_for(arrivals: Arrivals, landing: Path) -> None:
    """For each file: counts add up, agree with the tables, and every position points at its text."""
    accepted = Counter(name for table in arrivals.raw.values() for name in table["source_file"].to_pylist())
    rejected = Counter(arrivals.rejected["source_file"].to_pylist())
    for file in arrivals.files.to_pylist():
        assert file["rows_in"] == file["accepted"] + file["rejected"] + file["duplicates"]
        assert file["accepted"] == accepted.pop(file["source_file"], 0)
        assert file["rejected"] == rejected.pop(file["source_file"], 0)
        assert min(file["accepted"], file["rejected"], file["duplicates"]) >= 0
    assert not accepted, "rows of a file that is not listed"
    assert not rejected, "rejected rows of a file that is not listed"
    positions = [
        (row["source_file"], row["source_line"])
        for table in (*arrivals.raw.values(), arrivals.rejected)
        for row in table.select(["source_file", "source_line"]).to_pylist()
    ]
    assert len(set(positions)) == len(positions), "a line is counted twice"
    for row in arrivals.rejected.to_pylist():
        assert row["reason"]
        assert row["raw_text"].split("\n")[0].split("\r")[0] == text_at(landing, row)[:2_000]
    for table in arrivals.raw.values():
        for row in table.to_pylist():
            assert row["lead_id"] in text_at(landing, row)


def text_at(landing: Path, row: dict[str, Any]) -> str:
    text = (landing / row["source_file"]).read_bytes().decode("utf-8-sig", errors="surrogateescape")
    line = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[row["source_line"] - 1]
    return line.encode("utf-8", errors="replace").decode()


def reasons(arrivals: Arrivals) -> dict[int, str]:
    return dict(zip(arrivals.rejected["source_line"].to_pylist(), arrivals.rejected["reason"].to_pylist(), strict=True))


def versions(table: pa.Table, *columns: str) -> list[tuple[Any, ...]]:
    """(id, version, …) of every row, in order."""
    own_id = "activity_id" if "activity_id" in table.column_names else "lead_id"
    return sorted(zip(*(table[name].to_pylist() for name in (own_id, "version", *columns)), strict=True))


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
    assert arrivals.raw["leads"].schema == raw_schema(REGISTRY.lead_columns)
    assert arrivals.raw["leads"].to_pylist()[1] == {
        "period": "2008-05",
        "lead_id": "2",
        "created_at": utc("2008-05-10"),
        "known_at": utc("2008-05-11"),
        "age": 43,
        "job": "clerk",
        "note": 'a "b",\nc',
        "worth": 1.5,
        "version": 1,
        "source_file": "leads/2008-05/a.csv",
        "source_line": 3,
    }
    assert counts(arrivals) == {"leads/2008-05/a.csv": (2, 2, 0, 0)}
    assert arrivals.files["problem"].to_pylist() == [None]


def test_nothing_landed_is_five_empty_tables(crm: Crm) -> None:
    arrivals = crm.ingest(MAY, {})
    assert [table.num_rows for table in arrivals.tables.values()] == [0] * 5
    assert list(arrivals.tables) == ["raw_leads", "raw_activities", "raw_outcomes", "rejected_rows", "arrived_files"]
    assert all(arrivals.raw[entity].schema == raw_schema(REGISTRY.columns(entity)) for entity in ENTITIES)


def test_files_without_rows_are_listed(crm: Crm) -> None:
    arrivals = crm.ingest(
        MAY, {"leads/a.csv": leads_csv(), "activities/a.csv": activities_csv(), "outcomes/a.csv": outcomes_csv()}
    )
    assert counts(arrivals) == {f"{entity}/2008-05/a.csv": (0, 0, 0, 0) for entity in ENTITIES}


def test_formulas_are_kept_as_they_came(crm: Crm) -> None:
    notes = ["=1+1", "+971 4 000", "-x", "@me", "=HYPERLINK(1)"]
    arrivals = crm.ingest(MAY, {"leads/a.csv": leads_csv(*(lead(str(n), note=note) for n, note in enumerate(notes)))})
    assert arrivals.raw["leads"]["note"].to_pylist() == notes


def test_only_the_periods_own_files_are_read(crm: Crm) -> None:
    crm.land(JUNE, {"leads/a.csv": leads_csv(lead("2"))})
    assert ids(crm.ingest(MAY, {"leads/a.csv": leads_csv(lead("1"))}).raw["leads"]) == ["1"]


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
        (lead("2", note="a\0b"), "holds a NUL byte"),
    ],
)  # fmt: skip
def test_a_bad_lead_is_quarantined_beside_good_ones(bad: dict[str, str], told: str, crm: Crm) -> None:
    arrivals = crm.ingest(MAY, {"leads/a.csv": leads_csv(lead("1"), bad, lead("3"))})
    assert ids(arrivals.raw["leads"]) == ["1", "3"]
    ((line, reason),) = reasons(arrivals).items()
    assert line == 3
    assert told in reason
    (row,) = arrivals.rejected.to_pylist()
    assert (row["period"], row["entity"], row["source_file"]) == ("2008-05", "leads", "leads/2008-05/a.csv")


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (outcome("1", outcome="won"), "outcome: expected one of converted, disqualified, lost, no_response, open, "),
        (outcome("1", outcome_at=""), "outcome_at: is required and empty"),
        (outcome("1", deal_value="100"), "currency: is required beside deal_value and empty"),
        (outcome("1", deal_value="100", currency="Dhs"), "currency: expected three capital letters such as AED"),
        (outcome("1", outcome_at="2008-06-02"), "lies in the future of period 2008-05: outcome_at 2008-06-02"),
        (outcome("1", known_at="2008-05-19"), "known_at 2008-05-19 00:00:00+00:00 is before outcome_at 2008-05-20"),
    ],
)
def test_a_bad_outcome_is_quarantined_beside_good_ones(bad: dict[str, str], told: str, crm: Crm) -> None:
    arrivals = crm.ingest(
        MAY,
        {"leads/a.csv": leads_csv(lead("1"), lead("2")), "outcomes/a.csv": outcomes_csv(bad, outcome("2"))},
    )
    assert ids(arrivals.raw["outcomes"]) == ["2"]
    ((line, reason),) = reasons(arrivals).items()
    assert line == 2
    assert told in reason


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (activity("2", activity_type="fax"), "activity_type: expected one of visit, call, found 'fax'"),
        (activity("2", lead_id=""), "lead_id: is required and empty"),
        (activity("2", occurred_at="2008-06-02"), "lies in the future of period 2008-05: occurred_at 2008-06-02"),
        (
            activity("2", occurred_at="2008-05-17"),
            "known_at 2008-05-16 00:00:00+00:00 is before occurred_at 2008-05-17",
        ),
    ],
)
def test_a_bad_activity_is_quarantined_beside_good_ones(bad: dict[str, str], told: str, crm: Crm) -> None:
    arrivals = crm.ingest(MAY, {"activities/a.csv": activities_csv(activity("1"), bad, activity("3"))})
    assert versions(arrivals.raw["activities"]) == [("1", 1), ("3", 1)]
    ((line, reason),) = reasons(arrivals).items()
    assert line == 3
    assert told in reason


def test_a_row_with_several_faults_in_time_names_them_all(crm: Crm) -> None:
    (told,) = reasons(crm.ingest(MAY, {"outcomes/a.csv": outcomes_csv(outcome("x", outcome_at="2008-07-01"))})).values()
    assert "lies in the future of period 2008-05" in told
    assert "is a clock fast" in told
    assert "known_at 2008-05-21 00:00:00+00:00 is before outcome_at 2008-07-01" in told


def test_what_lies_in_the_future_without_a_known_at_has_that_fault_only(crm: Crm) -> None:
    arrivals = crm.ingest(MAY, {"leads/a.csv": leads_csv(lead("1", created_at="2008-06-02", known_at=""))})
    (told,) = reasons(arrivals).values()
    assert "lies in the future" in told
    assert "is before" not in told


def test_activities_and_outcomes_may_come_before_their_lead(crm: Crm) -> None:
    early: dict[str, str | bytes] = {
        "activities/a.csv": activities_csv(activity("a")),
        "outcomes/a.csv": outcomes_csv(outcome("1")),
    }
    arrivals = crm.ingest(MAY, early)
    assert [table.num_rows for table in arrivals.raw.values()] == [0, 1, 1]
    late = crm.ingest(JUNE, {"leads/a.csv": leads_csv(lead("1")), "outcomes/a.csv": outcomes_csv(outcome("1"))})
    assert counts(late) == {"leads/2008-06/a.csv": (1, 1, 0, 0), "outcomes/2008-06/a.csv": (1, 0, 0, 1)}


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
    assert arrivals.raw["leads"]["known_at"].to_pylist() == [utc(stored)]
    assert arrivals.raw["leads"]["created_at"].to_pylist() == [utc("2008-05-10")]


def test_a_row_that_was_known_before_it_happened_is_refused_whenever_it_lands(crm: Crm) -> None:
    odd = lead("1", created_at="2008-05-12", known_at="2008-05-11")
    for period in (MAY, JUNE):
        arrivals = crm.ingest(period, {"leads/a.csv": leads_csv(odd)})
        assert reasons(arrivals) == {
            2: "known_at 2008-05-11 00:00:00+00:00 is before created_at 2008-05-12 00:00:00+00:00"
        }


def test_a_file_without_known_at_is_known_at_the_end(crm: Crm) -> None:
    names = [name for name in LEAD_NAMES if name != "known_at"]
    arrivals = crm.ingest(MAY, {"leads/a.csv": csv_of(names, [lead("1")])})
    assert arrivals.raw["leads"]["known_at"].to_pylist() == [MAY.end]


# --- Duplicates


def test_the_same_row_again_is_counted_once(crm: Crm) -> None:
    files: dict[str, str | bytes] = {
        "leads/a.csv": leads_csv(lead("1"), lead("2"), lead("1")),
        "leads/b.csv": leads_csv(lead("2", known_at="2008-05-12"), lead("3", worth="1.50"), lead("3", worth="1.5")),
    }
    arrivals = crm.ingest(MAY, files)
    assert ids(arrivals.raw["leads"]) == ["1", "2", "3"]
    assert counts(arrivals) == {"leads/2008-05/a.csv": (3, 2, 0, 1), "leads/2008-05/b.csv": (3, 1, 0, 2)}
    again = crm.ingest(JUNE, {"leads/a.csv": leads_csv(lead("1"), lead("4"), lead("3", worth="1.5"))})
    assert ids(again.raw["leads"]) == ["4"]
    assert counts(again) == {"leads/2008-06/a.csv": (3, 1, 0, 2)}


@pytest.mark.parametrize("where", ["same file", "next file", "next period"])
def test_the_same_id_with_other_values_is_a_new_version(where: str, crm: Crm) -> None:
    first, other = lead("1"), lead("1", age="43", known_at="")
    if where == "same file":
        crm.ingest(MAY, {"leads/a.csv": leads_csv(other, first, lead("2"))})
    elif where == "next file":
        crm.ingest(MAY, {"leads/a.csv": leads_csv(other), "leads/b.csv": leads_csv(first, lead("2"))})
    else:
        crm.ingest(MAY, {"leads/a.csv": leads_csv(first)})
        crm.ingest(JUNE, {"leads/a.csv": leads_csv(other, lead("2"))})
    rows = versions(pa.concat_tables(crm.stored["leads"]), "age")
    assert rows == [("1", 1, 42), ("1", 2, 43), ("2", 1, 42)]


def test_versions_are_ordered_by_when_they_were_known(crm: Crm) -> None:
    rows = [lead("1", age=str(20 + day), known_at=f"2008-05-{day}") for day in (15, 11, 19, 13)]
    arrivals = crm.ingest(MAY, {"leads/a.csv": leads_csv(*rows[:2]), "leads/b.csv": leads_csv(*rows[2:])})
    assert versions(arrivals.raw["leads"], "age") == [("1", 1, 31), ("1", 2, 33), ("1", 3, 35), ("1", 4, 39)]
    known = dict(
        zip(arrivals.raw["leads"]["version"].to_pylist(), arrivals.raw["leads"]["known_at"].to_pylist(), strict=True)
    )
    assert sorted(known.values()) == [known[version] for version in (1, 2, 3, 4)]


def test_a_change_back_is_a_version_only_where_its_moment_is_stated(crm: Crm) -> None:
    crm.ingest(MAY, {"leads/a.csv": leads_csv(lead("1"), lead("1", age="43", known_at="2008-05-12"))})
    stale = lead("1", known_at="2008-05-11")  # an old export that lands again
    arrivals = crm.ingest(JUNE, {"leads/a.csv": leads_csv(stale, lead("1", known_at=""))})
    assert counts(arrivals) == {"leads/2008-06/a.csv": (2, 0, 0, 2)}
    arrivals = crm.ingest(JULY, {"leads/a.csv": leads_csv(stale, lead("1", known_at="2008-07-03"))})
    assert versions(arrivals.raw["leads"], "age") == [("1", 3, 42)]
    assert counts(arrivals) == {"leads/2008-07/a.csv": (2, 1, 0, 1)}


def test_a_repetition_with_a_later_known_at_is_a_duplicate(crm: Crm) -> None:
    rows = [lead("1", known_at=f"2008-05-{day}") for day in range(11, 20)]
    arrivals = crm.ingest(MAY, {"leads/a.csv": leads_csv(*rows)})
    assert arrivals.raw["leads"]["known_at"].to_pylist() == [utc("2008-05-11")]
    assert counts(arrivals) == {"leads/2008-05/a.csv": (9, 1, 0, 8)}


@pytest.mark.parametrize(
    ("created_at", "told"),
    [
        ("2008-05-09T20:00", "The two are 4 hours apart: has the time zone of the export changed?"),
        ("2008-05-10T05:30", "The two are 5.5 hours apart: has the time zone of the export changed?"),
        ("2008-05-09", "it cannot change"),
        ("2008-05-10T00:10", "it cannot change"),
    ],
)
@pytest.mark.parametrize("where", ["same period", "next period"])
def test_the_event_time_of_a_lead_cannot_change(created_at: str, told: str, where: str, crm: Crm) -> None:
    other = lead("1", created_at=created_at, known_at="2008-05-12")
    if where == "same period":
        arrivals = crm.ingest(MAY, {"leads/a.csv": leads_csv(other, lead("1"), lead("2"))})
        assert ids(arrivals.raw["leads"]) == ["1", "2"]
    else:
        crm.ingest(MAY, {"leads/a.csv": leads_csv(lead("1"))})
        arrivals = crm.ingest(JUNE, {"leads/a.csv": leads_csv(other, lead("2"))})
        assert ids(arrivals.raw["leads"]) == ["2"]
    assert list(reasons(arrivals)) == [2]
    assert told in reasons(arrivals)[2]
    assert ("time zone" in reasons(arrivals)[2]) == ("hours apart" in told)
    assert (
        f"created_at {utc(created_at)} contradicts what was said first, 2008-05-10 00:00:00+00:00"
        in reasons(arrivals)[2]
    )


def test_the_event_time_of_an_activity_cannot_change_and_its_lead_can(crm: Crm) -> None:
    crm.ingest(MAY, {"activities/a.csv": activities_csv(activity("a"), activity("b"))})
    arrivals = crm.ingest(
        JUNE, {"activities/a.csv": activities_csv(activity("a", occurred_at="2008-05-14"), activity("b", lead_id="2"))}
    )
    assert versions(arrivals.raw["activities"], "lead_id") == [("b", 2, "2")]
    assert "occurred_at 2008-05-14 00:00:00+00:00 contradicts" in reasons(arrivals)[2]


def test_an_activity_is_recognised_however_long_ago_it_came(crm: Crm) -> None:
    calendar = SETTINGS.calendar
    crm.ingest(MAY, {"activities/a.csv": activities_csv(activity("a", occurred_at="2008-05-01", known_at=""))})
    later = calendar.period("2011-01")
    arrivals = crm.ingest(
        later, {"activities/a.csv": activities_csv(activity("a", occurred_at="2008-05-01", known_at=""), activity("b"))}
    )
    assert counts(arrivals) == {"activities/2011-01/a.csv": (2, 1, 0, 1)}


def test_a_later_outcome_is_a_new_version(crm: Crm) -> None:
    won = outcome("1", outcome="converted", deal_value="100", currency="AED")
    bounced = outcome("1", outcome="disqualified", reason="payment bounced", known_at="2008-05-25")
    arrivals = crm.ingest(MAY, {"outcomes/a.csv": outcomes_csv(won, bounced, won)})
    assert versions(arrivals.raw["outcomes"], "outcome") == [("1", 1, "converted"), ("1", 2, "disqualified")]
    back = crm.ingest(JUNE, {"outcomes/a.csv": outcomes_csv({**won, "known_at": "2008-06-02"})})
    assert versions(back.raw["outcomes"], "outcome") == [("1", 3, "converted")]


@pytest.mark.parametrize("known_at", ["2008-05-21", ""])
def test_two_outcomes_at_the_same_moment_contradict_each_other(known_at: str, crm: Crm) -> None:
    """Neither is taken, in whatever order they land."""
    both = [outcome("1", outcome=name, known_at=known_at) for name in ("converted", "lost")]
    for rows in (both, both[::-1]):
        arrivals = crm.ingest(MAY, {"outcomes/a.csv": outcomes_csv(*rows, outcome("2"), rows[0])})
        assert ids(arrivals.raw["outcomes"]) == ["2"]
        assert list(reasons(arrivals)) == [2, 3, 5]
        assert all("to be both converted and lost" in told for told in reasons(arrivals).values())
        crm.stored["outcomes"].pop()


def test_what_is_stated_again_beside_its_correction_is_no_contradiction(crm: Crm) -> None:
    """Exports without known_at repeat all that was ever said."""
    crm.ingest(MAY, {"outcomes/a.csv": outcomes_csv(outcome("1"))})
    now = [outcome("1", known_at=""), outcome("1", outcome="converted", known_at="")]
    arrivals = crm.ingest(JUNE, {"outcomes/a.csv": outcomes_csv(*now)})
    assert versions(arrivals.raw["outcomes"], "outcome") == [("1", 2, "converted")]
    assert counts(arrivals) == {"outcomes/2008-06/a.csv": (2, 1, 0, 1)}


def test_the_same_outcome_with_another_reason_is_a_new_version_and_no_contradiction(crm: Crm) -> None:
    arrivals = crm.ingest(MAY, {"outcomes/a.csv": outcomes_csv(outcome("1"), outcome("1", reason="price"))})
    assert versions(arrivals.raw["outcomes"], "reason") == [("1", 1, None), ("1", 2, "price")]


def test_the_text_of_a_row_that_is_rejected_late_is_read_again(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    content = leads_csv(lead("1"), lead("1", created_at="2008-05-11", note="moved"))
    arrivals = crm.ingest(MAY, {"leads/a.csv": content})
    assert arrivals.rejected["raw_text"].to_pylist() == ["1,2008-05-11,2008-05-11,42,clerk,moved,"]
    real = entity_arrival.decide

    def decide_while_the_file_changes(*arguments: Any) -> Any:
        crm.land(MAY, {"leads/a.csv": content + "\n"})
        return real(*arguments)

    monkeypatch.setattr(entity_arrival, "decide", decide_while_the_file_changes)
    with pytest.raises(SourceError, match=r"leads/2008-05/a.csv changed while it was read"):
        crm.read(MAY)


def test_a_rejected_row_does_not_keep_out_its_correction(crm: Crm) -> None:
    arrivals = crm.ingest(MAY, {"leads/a.csv": leads_csv(lead("1", age="-3"), lead("1"), lead("1"))})
    assert ids(arrivals.raw["leads"]) == ["1"]
    assert counts(arrivals) == {"leads/2008-05/a.csv": (3, 1, 1, 1)}
    assert ids(crm.ingest(JUNE, {"leads/a.csv": leads_csv(lead("2", age="x"))}).raw["leads"]) == []
    assert ids(crm.ingest(JULY, {"leads/a.csv": leads_csv(lead("2"))}).raw["leads"]) == ["2"]


# --- Bad files: named, counted, and the other files stay

GOOD = leads_csv(lead("1"), lead("2"), lead("3", note="a, b"))


@pytest.mark.parametrize(
    ("name", "content", "told", "rejected"),
    [
        ("b.csv", "", "is empty: expected a header line", 0),
        ("b.csv", GOOD.replace(",", ";"), "expected commas between the columns, found a semicolon", 3),
        ("b.csv", GOOD.replace("age", "years"), "columns ['age'] are missing", 3),
        ("b.csv", GOOD.replace("note", "age"), "columns ['age'] occur more than once", 3),
        ("b.csv", GOOD.encode("utf-16"), "expected UTF-8 text, found UTF-16", None),
        ("b.xlsx", GOOD, "expected a file that ends with .csv, ", 0),
        ("b.csv", "\0" * 100, "holds a NUL byte", 0),
    ],
    ids=["empty", "semicolons", "missing column", "repeated column", "UTF-16", "ending", "zeros"],
)
def test_a_bad_file_is_named_and_the_others_stay(
    name: str, content: str | bytes, told: str, rejected: int | None, crm: Crm
) -> None:
    others: dict[str, str | bytes] = {"leads/a.csv": leads_csv(lead("8")), "leads/c.csv": leads_csv(lead("9"))}
    arrivals = crm.ingest(MAY, {**others, f"leads/{name}": content})
    assert ids(arrivals.raw["leads"]) == ["8", "9"]
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
    assert ids(arrivals.raw["leads"]) == ["1", "2", "3"]
    assert arrivals.rejected.num_rows == 0


def test_an_extra_column_is_noted_and_its_rows_are_kept(crm: Crm) -> None:
    arrivals = crm.ingest(MAY, {"leads/a.csv": csv_of([*LEAD_NAMES, "colour"], [{**lead("1"), "colour": "red"}])})
    assert ids(arrivals.raw["leads"]) == ["1"]
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
    assert ids(arrivals.raw["leads"]) == [f"L{n - 1}" for n in range(1, 201) if n not in bad]


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


@hypothesis_settings(max_examples=30)
@given(edits)
def test_no_corruption_loses_or_doubles_a_row(scratch: Path, changes: list[Edit]) -> None:
    """Truncated, flipped, deleted, doubled: ingestion never raises, and every row is accounted for at its position."""
    crm = Crm(scratch)
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


@hypothesis_settings(max_examples=30)
@given(
    st.dictionaries(
        st.sampled_from(["L01", "L03", "L07", "L08", "L12"]),
        st.tuples(st.sampled_from(["flip", "quote", "cut"]), st.integers(0, 1_000), st.sampled_from(b'",;x\xff\0 ')),
        min_size=1,
    )
)
def test_rows_that_were_not_touched_stay(scratch: Path, changes: dict[str, tuple[str, int, int]]) -> None:
    """Whatever happens inside some lines, quotes included, every row on other lines is accepted as it was."""
    crm = Crm(scratch)
    spoiled = BASE
    for lead_id, change in changes.items():
        line = records(BASE)[lead_id]
        assert spoiled.count(line) == 1
        spoiled = spoiled.replace(line, one_line_change(line, *change))
    accepted = set(ids(crm.ingest(MAY, {"leads/a.csv": spoiled}).raw["leads"]))
    assert {f"L{n:02}" for n in range(14)} - set(changes) <= accepted


# --- The same again


def test_the_same_files_give_the_same_rows(crm: Crm) -> None:
    files: dict[str, str | bytes] = {
        "leads/b.csv": leads_csv(lead("3"), lead("1", age="99"), lead("4", age="-1")),
        "leads/a.csv": leads_csv(lead("1"), lead("2"), lead("1")),
        "activities/a.csv": activities_csv(activity("a"), activity("a", detail="x")),
        "outcomes/a.csv": outcomes_csv(outcome("2"), outcome("9"), outcome("2")),
    }
    crm.land(MAY, files)
    one, other = crm.read(MAY), crm.read(MAY)
    for name, table in one.tables.items():
        assert table.num_rows > 0
        assert content_hash(table) == content_hash(other.tables[name])
    assert versions(one.raw["leads"], "age") == [("1", 1, 42), ("1", 2, 99), ("2", 1, 42), ("3", 1, 42)]


def test_ingesting_compares_with_earlier_periods_and_changes_nothing_there(crm: Crm) -> None:
    crm.ingest(MAY, {"leads/a.csv": leads_csv(lead("1"), lead("2"))})
    before = content_hash(pa.concat_tables(crm.stored["leads"]))
    crm.land(JUNE, {"leads/a.csv": leads_csv(lead("1", age="50"))})
    crm.read(JUNE)
    assert content_hash(pa.concat_tables(crm.stored["leads"])) == before


# --- Whatever lands, however it is split

some_moments = st.sampled_from(["", "2008-05-12", "2008-05-13", "2008-06-01", "2008-06-11", "2008-06-12"])
some_leads = st.builds(
    lambda name, age, at, known_at: lead(name, age=age, created_at=at, known_at=known_at),
    st.sampled_from("123"),
    st.sampled_from(["20", "21", "9"]),
    st.sampled_from(["2008-05-10", "2008-05-10", "2008-05-11"]),
    some_moments,
)
some_activities = st.builds(
    lambda name, of, detail, known_at: activity(name, lead_id=of, detail=detail, known_at=known_at),
    st.sampled_from("abc"),
    st.sampled_from("12"),
    st.sampled_from(["", "x"]),
    some_moments,
)
some_outcomes = st.builds(
    lambda of, what, at, known_at: outcome(of, outcome=what, outcome_at=at, known_at=known_at),
    st.sampled_from("123"),
    st.sampled_from(["lost", "converted", "won"]),
    st.sampled_from(["2008-05-10", "2008-05-11"]),
    some_moments,
)
Landed = dict[Entity, list[dict[str, str]]]
worlds = st.fixed_dictionaries(
    {
        "leads": st.lists(some_leads, max_size=8),
        "activities": st.lists(some_activities, max_size=8),
        "outcomes": st.lists(some_outcomes, max_size=8),
    }
)
CSV_OF = {"leads": leads_csv, "activities": activities_csv, "outcomes": outcomes_csv}


def as_files(landed: Landed) -> dict[str, str | bytes]:
    return {f"{entity}/a.csv": CSV_OF[entity](*rows) for entity, rows in landed.items()}


def split(landed: Landed, at: int) -> dict[str, str | bytes]:
    """The same rows in two files, in the same order."""
    first: Landed = {entity: rows[:at] for entity, rows in landed.items()}
    rest: Landed = {entity: rows[at:] for entity, rows in landed.items()}
    return as_files(first) | {name.replace("a.csv", "b.csv"): text for name, text in as_files(rest).items()}


def copied(landed: Landed) -> dict[str, str | bytes]:
    """The same file under two names more."""
    files = as_files(landed)
    return files | {name.replace("a.csv", copy): text for name, text in files.items() for copy in ("copy.csv", "z.csv")}


def doubled(landed: Landed) -> dict[str, str | bytes]:
    """Every row twice, in one file."""
    return as_files({entity: [*rows, *rows] for entity, rows in landed.items()})


def content(folder: Path, periods: list[dict[str, str | bytes]]) -> dict[str, str]:
    """What the raw tables say after these periods, wherever it was read."""
    crm = Crm(folder)
    for period, files in zip((MAY, JUNE, JULY), periods, strict=False):
        crm.ingest(period, files)
    return {
        RAW_TABLES[entity]: content_hash(pa.concat_tables(tables).drop_columns(["source_file", "source_line"]))
        for entity, tables in crm.stored.items()
    }


@pytest.mark.slow
@hypothesis_settings(max_examples=8)
@given(may=worlds, june=worlds, at=st.integers(0, 8))
def test_however_rows_are_split_doubled_or_copied_they_say_the_same(
    tmp_path_factory: pytest.TempPathFactory, may: Landed, june: Landed, at: int
) -> None:
    def ingested(*periods: dict[str, str | bytes]) -> dict[str, str]:
        return content(tmp_path_factory.mktemp("world"), list(periods))

    plain = ingested(as_files(may), as_files(june))
    assert ingested(split(may, at), split(june, at)) == plain
    assert ingested(copied(may), doubled(june)) == plain
    # The files of May land in June once more, as they were: nothing new, but for what states a moment in June. Outcomes
    # that contradicted each other are left out: one of them may have been said on its own as well.
    before: Landed = {entity: [row for row in rows if row["known_at"] < "2008-06-01"] for entity, rows in may.items()}
    again = {name.replace("a.csv", "0.csv"): text for name, text in as_files(before).items() if "out" not in name}
    assert ingested(as_files(before), as_files(june) | again) == ingested(as_files(before), as_files(june))
