"""A person's SQL over the lakehouse: the same question as of the same moment has one answer, and it can only read."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.lakehouse.ask import ask
from lead_scoring_assets.lakehouse.content_hash import content_hash
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.lakehouse.time_travel import moments

IDENTIFIERS = {"raw_leads": "lead_id", "ground_truth_labels": "lead_id"}


def day(number: int) -> datetime:
    return datetime(2008, 5, 1, tzinfo=UTC) + timedelta(days=number)


def statements(period: str, *rows: tuple[str, int, int, int]) -> pa.Table:
    """`raw_leads`: lead, version, day on which it was known, age."""
    return pa.table(
        {
            "period": pa.array([period] * len(rows), pa.string()),
            "lead_id": pa.array([row[0] for row in rows], pa.string()),
            "version": pa.array([row[1] for row in rows], pa.int64()),
            "known_at": pa.array([day(row[2]) for row in rows], pa.timestamp("us", tz="UTC")),
            "age": pa.array([row[3] for row in rows], pa.int64()),
        }
    )


@pytest.fixture
def lakehouse(tmp_path: Path) -> Lakehouse:
    made = Lakehouse(tmp_path / "my lakehouse")
    made.replace_periods("raw_leads", ["2008-05"], statements("2008-05", ("a", 1, 3, 30), ("b", 1, 4, 40)))
    made.append("decisions", pa.table({"n": [1], "why": ["it's first"]}))
    return made


def newest(lakehouse: Lakehouse, table: str) -> datetime:
    return moments(lakehouse.path(table))[-1].at


def refused(lakehouse: Lakehouse, sql: str, **options: Any) -> str:
    with pytest.raises(LakehouseError) as told:
        ask(lakehouse, sql, **options)
    return str(told.value)


# --- As of: the lakehouse then


def test_the_same_question_as_of_the_same_moment_has_the_same_answer_after_later_writes(lakehouse: Lakehouse) -> None:
    sql = "SELECT * FROM raw_leads JOIN decisions ON n <= version ORDER BY lead_id, version, n"
    moment = max(newest(lakehouse, name) for name in lakehouse.names())
    before = ask(lakehouse, sql, as_of=moment)
    assert before.num_rows == 2
    later_writes = [
        lambda: lakehouse.replace_periods("raw_leads", ["2008-06"], statements("2008-06", ("c", 1, 40, 50))),
        lambda: lakehouse.replace_periods("raw_leads", ["2008-05"], statements("2008-05", ("a", 1, 3, 31))),
        lambda: lakehouse.replace_periods(
            "raw_leads", ["2008-07"], statements("2008-07", ("d", 1, 70, 1)).append_column("new", [["x"]])
        ),
        lambda: lakehouse.append("decisions", pa.table({"n": [1], "why": ["again"]})),
    ]
    for write in later_writes:
        now = ask(lakehouse, sql)
        write()
        assert content_hash(ask(lakehouse, sql)) != content_hash(now), "each write is seen by who asks about now"
        again = ask(lakehouse, sql, as_of=moment)
        assert again.equals(before)
        assert content_hash(again) == content_hash(before)


def test_tables_of_one_question_stand_at_the_same_moment(lakehouse: Lakehouse) -> None:
    """Two tables written in turns: as of any commit, the question sees of each what stood then."""
    for number in range(2, 5):
        lakehouse.append("decisions", pa.table({"n": [number], "why": [""]}))
        lakehouse.append("notes", pa.table({"m": [number]}))
    sql = "SELECT (SELECT max(n) FROM decisions) AS n, (SELECT max(m) FROM notes) AS m"
    for number, note in enumerate(moments(lakehouse.path("notes"))[1:], start=2):
        assert ask(lakehouse, sql, as_of=note.at).to_pylist() == [{"n": number, "m": number}]
    for number, decision in list(enumerate(moments(lakehouse.path("decisions"))))[3:]:
        assert ask(lakehouse, sql, as_of=decision.at).to_pylist() == [{"n": number, "m": number - 1}]


def test_a_version_of_one_table_goes_before_the_moment(lakehouse: Lakehouse) -> None:
    lakehouse.append("decisions", pa.table({"n": [2], "why": [""]}))
    sql = "SELECT count(*) AS n FROM decisions"
    assert ask(lakehouse, sql, versions={"decisions": 1}).to_pylist() == [{"n": 1}]
    assert ask(lakehouse, sql, versions={"decisions": 1}, as_of=day(9999)).to_pylist() == [{"n": 1}]
    assert ask(lakehouse, sql, versions={"raw_leads": 0}).to_pylist() == [{"n": 2}]
    assert "decisions: version 7 cannot be read" in refused(lakehouse, sql, versions={"decisions": 7})
    assert refused(lakehouse, sql, versions={"x": 1}) == "there is no table x. Its tables are: decisions, raw_leads"
    assert "decisions was not there as of 2008-05-01" in refused(lakehouse, sql, as_of=day(0))


# --- Known at: the world then

chains = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=10).map(
    lambda told: sorted(told, key=lambda row: row[1])
)


@settings(max_examples=15)
@given(chains, st.integers(-1, 4))
def test_known_at_shows_the_newest_statement_by_then(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[str, int, int]], moment: int
) -> None:
    """By hand: of each lead the highest version among those known, in the order in which they became known."""
    numbers: dict[str, int] = {}
    rows, expected = [], {}
    for lead, known, age in told:
        numbers[lead] = numbers.get(lead, 0) + 1
        rows.append((lead, numbers[lead], known, age))
        if known <= moment:
            expected[lead] = age
    lakehouse = Lakehouse(tmp_path_factory.mktemp("t"))
    lakehouse.replace_periods("raw_leads", ["2008-05"], statements("2008-05", *rows))
    found = ask(lakehouse, "SELECT lead_id, age FROM raw_leads", known_at=day(moment), identifiers=IDENTIFIERS)
    assert found.num_rows == len(expected)
    assert {row["lead_id"]: row["age"] for row in found.to_pylist()} == expected


def test_known_at_takes_labels_by_revision_other_tables_by_row_and_the_rest_whole(lakehouse: Lakehouse) -> None:
    known = pa.timestamp("us", tz="UTC")
    labels = {
        "lead_id": ["a", "a"],
        "revision": [1, 2],
        "label": [1, 0],
        "label_known_at": pa.array([day(5), day(8)], known),
    }
    lakehouse.append("ground_truth_labels", pa.table(labels))
    features = {"lead_id": ["a", "a"], "age": [30, 31], "known_at": pa.array([day(3), day(7)], known)}
    lakehouse.append("lead_features", pa.table(features))
    for moment, label, rows in ((4, [], 1), (5, [1], 1), (7, [1], 2), (8, [0], 2)):
        options: dict[str, Any] = {"known_at": day(moment), "identifiers": IDENTIFIERS}
        assert ask(lakehouse, "SELECT label FROM ground_truth_labels", **options)["label"].to_pylist() == label
        assert ask(lakehouse, "SELECT * FROM lead_features", **options).num_rows == rows
        assert ask(lakehouse, "SELECT * FROM decisions", **options).num_rows == 1
    here = day(5).astimezone(timezone(timedelta(hours=4)))
    sql = "SELECT label FROM ground_truth_labels"
    assert ask(lakehouse, sql, known_at=here, identifiers=IDENTIFIERS)["label"].to_pylist() == [1]


def test_both_clocks_can_be_asked_together(lakehouse: Lakehouse) -> None:
    before = newest(lakehouse, "raw_leads")
    lakehouse.replace_periods("raw_leads", ["2008-06"], statements("2008-06", ("a", 2, 4, 99)))
    sql = "SELECT age FROM raw_leads WHERE lead_id = 'a'"
    for as_of, known_at, ages in (
        (None, day(4), [99]),
        (before, day(4), [30]),
        (None, day(3), [30]),
        (before, day(2), []),
    ):
        assert ask(lakehouse, sql, as_of=as_of, known_at=known_at, identifiers=IDENTIFIERS)["age"].to_pylist() == ages


def test_known_at_needs_the_column_that_names_a_thing(lakehouse: Lakehouse) -> None:
    sql = "SELECT * FROM raw_leads"
    assert "give `identifiers` for raw_leads, one of ['period', 'lead_id'" in refused(lakehouse, sql, known_at=day(1))
    assert "'id' is not the column" in refused(lakehouse, sql, known_at=day(1), identifiers={"raw_leads": "id"})
    naive = datetime(2008, 5, 1)  # noqa: DTZ001
    assert "has no time zone" in refused(lakehouse, sql, known_at=naive, identifiers=IDENTIFIERS)


# --- It can only read

OUTSIDE = "a question reads the lakehouse's tables and nothing else"


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("CREATE TABLE x AS SELECT * FROM decisions", "expected a SELECT, found CREATE: a question only reads"),
        ("INSERT INTO decisions VALUES (2, '')", "expected a SELECT, found INSERT"),
        ("DELETE FROM decisions", "expected a SELECT, found DELETE"),
        ("DROP VIEW decisions", "expected a SELECT, found DROP"),
        ("COPY decisions TO '{folder}/stolen.csv'", "expected a SELECT, found COPY"),
        ("COPY (SELECT * FROM decisions) TO '{folder}/stolen.csv'", "expected a SELECT, found COPY"),
        ("ATTACH '{folder}/stolen.db'", "expected a SELECT, found ATTACH"),
        ("EXPORT DATABASE '{folder}/stolen'", "expected a SELECT, found EXPORT"),
        ("INSTALL httpfs", "expected a SELECT, found LOAD"),
        ("SET enable_external_access = true", "expected a SELECT, found SET"),
        ("PRAGMA database_list", "expected a SELECT, found PRAGMA"),
        ("EXPLAIN SELECT * FROM decisions", "expected a SELECT, found EXPLAIN"),
        ("PIVOT decisions ON why", "found MULTI: a question only reads (a PIVOT needs its values: ON column IN (…))"),
        (
            "SELECT * FROM decisions; SELECT * FROM decisions",
            "expected one SELECT, found 2 statements; ask them one by one",
        ),
        ("", "expected one SELECT, found no statements"),
        ("-- SELECT * FROM decisions", "expected one SELECT, found no statements"),
        ("SELECT d.*, s.* FROM decisions d, read_csv('{secret}') s", OUTSIDE),
        ("SELECT * FROM decisions, read_text('{secret}')", OUTSIDE),
        ("SELECT * FROM decisions, read_parquet('{folder}/**/*.parquet')", OUTSIDE),
        ("SELECT * FROM decisions, glob('/*')", OUTSIDE),
        ("SELECT * FROM decisions, '{secret}'", OUTSIDE),
        ("SELECT * FROM decisions, read_csv('http://127.0.0.1:9/x.csv')", OUTSIDE),
    ],
)
def test_what_is_no_question_about_the_tables_is_refused(
    sql: str, told: str, lakehouse: Lakehouse, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("word\nhunter2\n")
    places = {"folder": str(tmp_path), "secret": str(secret)}
    present = sorted(tmp_path.rglob("*"))
    found = refused(lakehouse, sql.format(**places))
    assert told.format(**places) in found
    assert "hunter2" not in found
    assert sorted(tmp_path.rglob("*")) == present, "nothing was written"


def test_a_variable_of_the_program_is_no_table(lakehouse: Lakehouse) -> None:
    mine = pa.table({"n": [1]})
    assert mine.num_rows == 1
    assert "Table with name mine does not exist" in refused(lakehouse, "SELECT * FROM decisions, mine")


# --- What people write


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM decisions",
        "FROM Decisions",
        'SELECT * FROM main."decisions"',
        "TABLE decisions",
        "WITH d AS (SELECT * FROM decisions) SELECT * FROM d",
        "SELECT * FROM raw_leads WHERE version IN (SELECT n FROM DECISIONS)",
        "DESCRIBE decisions",
        "SUMMARIZE decisions",
        "PIVOT decisions ON n IN (1) USING count(*)",
        "SELECT why FROM decisions -- ; DROP TABLE decisions;",
        "SELECT * FROM decisions;",
    ],
)
def test_any_way_to_name_a_table_is_taken(sql: str, lakehouse: Lakehouse) -> None:
    assert ask(lakehouse, sql).num_rows > 0


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT * FROM leads", "the question names no table of the lakehouse. Its tables are: decisions, raw_leads"),
        ("SHOW TABLES", "the question names no table of the lakehouse. Its tables are: decisions, raw_leads"),
        (
            "SELECT * FROM decisions JOIN leads USING (n)",
            "Table with name leads does not exist. Its tables are: decisions,",
        ),
        ("SELEC 1", 'the question cannot be answered (parser error): syntax error at or near "SELEC"'),
        ("SELECT wy FROM decisions", '(binder error): Referenced column "wy" not found in FROM clause'),
        ("SELECT why::INT FROM decisions", "(conversion error): Could not convert string 'it's first' to INT32"),
        ("SELECT $1 FROM decisions", "(invalid input error): Values were not provided"),
    ],
)
def test_what_cannot_be_answered_is_told_in_a_sentence(sql: str, told: str, lakehouse: Lakehouse) -> None:
    assert told in refused(lakehouse, sql)


def test_an_empty_lakehouse_says_so(tmp_path: Path) -> None:
    assert "It has no tables yet" in refused(Lakehouse(tmp_path / "none"), "SELECT * FROM raw_leads")


def test_only_tables_that_the_question_names_are_opened(lakehouse: Lakehouse) -> None:
    for commit in (lakehouse.path("decisions") / "_delta_log").glob("*.json"):
        commit.write_text("broken")
    assert ask(lakehouse, "SELECT count(*) AS n FROM raw_leads").to_pylist() == [{"n": 2}]
    assert "decisions" in refused(lakehouse, "SELECT * FROM decisions")


def test_times_are_told_in_utc(lakehouse: Lakehouse) -> None:
    sql = "SELECT known_at::VARCHAR AS t FROM raw_leads ORDER BY t"
    assert ask(lakehouse, sql)["t"].to_pylist() == ["2008-05-04 00:00:00+00", "2008-05-05 00:00:00+00"]
