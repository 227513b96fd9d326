"""The query engine: named tables, bound values, UTC whatever the machine's time zone."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
import pytest

from lead_scoring_assets.lakehouse.query import query

DATA = pa.table({"name": ["a", "b", "c"], "n": [1, 2, 3]})


def test_tables_are_asked_by_name() -> None:
    other = pa.table({"name": ["b", "c"], "label": ["x", "y"]})
    rows = query("SELECT name, n, label FROM data JOIN other USING (name) ORDER BY n", {"data": DATA, "other": other})
    assert rows.to_pylist() == [{"name": "b", "n": 2, "label": "x"}, {"name": "c", "n": 3, "label": "y"}]


def test_values_are_bound_and_never_read_as_sql() -> None:
    hostile = "a' OR 'x' = 'x"
    table = pa.table({"name": ["a", hostile]})
    assert query("SELECT name FROM t WHERE name = $1", {"t": table}, [hostile]).to_pylist() == [{"name": hostile}]
    assert query("SELECT $1::INTEGER + $2 AS sum", parameters=[40, 2])["sum"].to_pylist() == [42]


def test_no_question_leaves_anything_to_the_next() -> None:
    query("SELECT * FROM data", {"data": DATA})
    with pytest.raises(duckdb.CatalogException, match="data"):
        query("SELECT * FROM data")


def test_a_variable_of_the_callers_is_no_table() -> None:
    mine = DATA
    assert mine.num_rows == 3
    with pytest.raises(duckdb.CatalogException, match="mine"):
        query("SELECT * FROM mine")


def test_questions_of_many_threads_do_not_meet() -> None:
    def ask(number: int) -> list[dict[str, int]]:
        rows = pa.table({"n": range(number)})
        return query("SELECT sum(n)::BIGINT AS sum, $1::BIGINT AS of FROM t", {"t": rows}, [number]).to_pylist()

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(ask, range(1, 60)))
    assert found == [[{"sum": number * (number - 1) // 2, "of": number}] for number in range(1, 60)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_can_ask_and_end_and_so_can_its_parent() -> None:
    """In a process of its own: DuckDB's threads do not come along into a child, which would wait for them at its end."""
    asked = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=120, check=True)
    assert sorted(asked.stdout.split()) == ["child-499999500000", "ended-0", "first", "parent-499999500000"]


FORK = """
import os
from lead_scoring_assets.lakehouse.query import query
BIG = "SELECT sum(range)::BIGINT AS s FROM range(1000000)"
query(BIG)
print("first", flush=True)
child = os.fork()
who, found = ("parent" if child else "child"), query(BIG)["s"][0]
if child:  # before it prints: two processes that print at once mix their lines
    print(f"ended-{os.waitpid(child, 0)[1]}", flush=True)
print(f"{who}-{found}", flush=True)
"""


def test_an_answer_without_rows_has_its_columns() -> None:
    rows = query("SELECT name, n FROM data WHERE n > 9", {"data": DATA})
    assert (rows.num_rows, rows.column_names) == (0, ["name", "n"])


ASK = """
from datetime import UTC, datetime
import pyarrow as pa
from lead_scoring_assets.lakehouse.query import query
moment = pa.table({"seen_at": pa.array([datetime(2008, 5, 31, 22, 30, tzinfo=UTC)], pa.timestamp("us", tz="UTC"))})
row = query("SELECT seen_at::VARCHAR AS text, strftime(seen_at, '%Y-%m') AS month, seen_at::DATE AS day, seen_at, "
    "TIMESTAMPTZ '2008-05-01' AS t FROM m", {"m": moment})
print([str(v) for v in row.to_pylist()[0].values()])
"""


def test_the_machines_time_zone_does_not_matter() -> None:
    asked = subprocess.run(
        [sys.executable, "-c", ASK], env={**os.environ, "TZ": "Asia/Dubai"}, capture_output=True, text=True, check=True
    )
    assert asked.stdout.strip() == str(
        ["2008-05-31 22:30:00+00", "2008-05", "2008-05-31", "2008-05-31 22:30:00+00:00", "2008-05-01 00:00:00+00:00"]
    )


def test_timestamps_come_back_as_the_same_instant() -> None:
    moment = datetime(2008, 5, 31, 22, 30, 0, 1, tzinfo=UTC)
    seen = pa.table({"seen_at": pa.array([moment], pa.timestamp("us", tz="UTC"))})
    assert query("SELECT seen_at FROM t", {"t": seen})["seen_at"][0].as_py() == moment


@pytest.mark.parametrize(("told", "threads"), [("1", 1), ("3", 3), ("", None), ("0", None), ("many", None)])
def test_it_has_as_many_threads_as_libraries_are_given(told: str, threads: int | None) -> None:
    assert threads_where({"OMP_NUM_THREADS": told}) == (threads or threads_where({}))


def threads_where(told: dict[str, str]) -> int:
    """In a process whose environment says so."""
    program = (
        "from lead_scoring_assets.lakehouse.query import query\n"
        "print(query(\"SELECT current_setting('threads') AS n\")['n'][0].as_py())\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"} | told
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)
