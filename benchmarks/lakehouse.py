"""What the lakehouse costs beside plain Parquet: writing, reading, hashing, asking. Prints a table.

Run it with `python benchmarks/lakehouse.py [--rows 5000000] [--rounds 3]`. Every measurement is a process of its own;
those that are to be compared take turns, and the median is printed. Wall and CPU seconds, and the largest resident memory
while the measured part ran (Linux; elsewhere of the whole process). Nothing is asserted: machines differ.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

PERIODS = [f"20{10 + month // 12}-{month % 12 + 1:02}" for month in range(10)]
QUESTIONS = {
    "group": "SELECT period, job, count(*), avg(balance), max(score) FROM t GROUP BY ALL ORDER BY ALL",
    "one period": "SELECT lead_id, score FROM t WHERE period = '2010-05' AND balance > 2500 ORDER BY lead_id",
    "all columns": "SELECT count(DISTINCT job), count(lead_id), max(created_at), max(known_at), sum(version), sum(age), "
    "sum(balance), sum(score), count(source_file), count(period) FROM t",
    "newest version": "SELECT count(*), sum(v) FROM (SELECT lead_id, max(version) AS v FROM t GROUP BY lead_id)",
}
Work = Callable[[], object]


# --- What is measured: each gives the work, after what it needs has been made ready


def write_plain(folder: Path) -> Work:
    import pyarrow.parquet as pq

    rows = pq.read_table(folder / "source.parquet")
    return lambda: pq.write_to_dataset(
        rows, folder / "plain", partition_cols=["period"], existing_data_behavior="delete_matching"
    )


def write_ours(folder: Path) -> Work:
    import pyarrow.parquet as pq

    from lead_scoring_assets.lakehouse.tables import Lakehouse

    rows = pq.read_table(folder / "source.parquet")
    return lambda: Lakehouse(folder / "ours").replace_periods("t", PERIODS, rows)


def write_ours_from_stream(folder: Path) -> Work:
    import pyarrow.dataset as pads

    from lead_scoring_assets.lakehouse.tables import Lakehouse

    source = pads.dataset(folder / "source.parquet")
    stream = lambda: source.scanner(batch_readahead=2, fragment_readahead=1).to_reader()  # noqa: E731
    return lambda: Lakehouse(folder / "streamed").replace_periods("t", PERIODS, stream)


def read_plain(folder: Path, question: str) -> Work:
    connection = opened()
    files = f"read_parquet('{folder}/plain/*/*.parquet', hive_partitioning = true)"
    return lambda: connection.sql(f"WITH t AS (SELECT * FROM {files}) {QUESTIONS[question]}").to_arrow_table()


def read_ours(folder: Path, question: str) -> Work:
    from lead_scoring_assets.lakehouse.query import query
    from lead_scoring_assets.lakehouse.tables import Lakehouse

    opened()
    query("SELECT 1")
    return lambda: query(QUESTIONS[question], {"t": Lakehouse(folder / "ours").scan("t")})


def read_ours_through_arrow(folder: Path, question: str) -> Work:
    from lead_scoring_assets.lakehouse.tables import Lakehouse

    connection = opened()

    def work() -> None:
        connection.register("t", Lakehouse(folder / "ours").scan("t"))
        connection.sql(QUESTIONS[question]).to_arrow_table()

    return work


def opened() -> duckdb.DuckDBPyConnection:
    """Everything imported and DuckDB open before the clock starts: who asks twice pays for that once."""
    import pyarrow.dataset

    assert pyarrow.dataset
    connection = duckdb.connect()
    connection.sql("SELECT 1").to_arrow_table()
    return connection


def hash_scan(folder: Path, lakehouse: str) -> Work:
    from lead_scoring_assets.lakehouse.content_hash import content_hash
    from lead_scoring_assets.lakehouse.tables import Lakehouse

    opened()
    return lambda: content_hash(Lakehouse(folder / lakehouse).scan("t"))


def ask_a_hundred(_: Path) -> Work:
    from lead_scoring_assets.lakehouse.query import query

    return lambda: [query("SELECT $1::INTEGER AS n", parameters=[number]) for number in range(100)]


def connect_a_hundred(_: Path) -> Work:
    def work() -> None:
        for number in range(100):
            with duckdb.connect() as connection:
                connection.execute("SET TimeZone = 'UTC'")
                connection.sql("SELECT $1::INTEGER AS n", params=[number]).to_arrow_table()

    return work


# --- Measuring


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    rows = given.rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        in_a_process("make_source", str(folder), str(rows))
        table = Table(title=f"The lakehouse beside plain Parquet: {rows:,} rows, 10 columns, {len(PERIODS)} periods")
        for heading in ("measured", "wall s", "CPU s", "peak MB", "wall ×", "CPU ×"):
            table.add_column(heading, justify="left" if heading == "measured" else "right")
        groups = [
            [("write: plain Parquet", "write_plain"), ("write: replace_periods", "write_ours"),
             ("write: replace_periods from a stream", "write_ours_from_stream")],
            *([(f"{question}: DuckDB on plain Parquet", "read_plain", question),
               (f"{question}: query(scan)", "read_ours", question),
               (f"{question}: the scan through Arrow", "read_ours_through_arrow", question)] for question in QUESTIONS),
            [("content hash of the scan", "hash_scan", "ours"), ("content hash, twice the rows", "hash_scan", "long")],
            [("100 small questions, each its own DuckDB", "connect_a_hundred"),
             ("100 small questions, query()", "ask_a_hundred")],
        ]  # fmt: skip
        for group in groups:
            if group[0][1] == "hash_scan":
                in_a_process("make_long", str(folder))
            found: list[list[list[float]]] = [[] for _ in group]
            for _ in range(given.rounds):
                for place, (_, *call) in enumerate(group):
                    found[place].append(in_a_process(call[0], str(folder), *call[1:]))
            medians = [[statistics.median(values) for values in zip(*runs, strict=True)] for runs in found]
            for (label, *_), (wall, cpu, peak) in zip(group, medians, strict=True):
                beside = (f"{wall / medians[0][0]:.2f}", f"{cpu / medians[0][1]:.2f}")
                table.add_row(label, f"{wall:.2f}", f"{cpu:.2f}", f"{peak:,.0f}", *beside)
            table.add_section()
        Console(width=120).print(table)


def in_a_process(*words: str) -> list[float]:
    done = subprocess.run([sys.executable, __file__, "--measure", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stderr}")
    found: list[float] = json.loads(done.stdout)
    return found


def measure(name: str, folder: str, *words: str) -> None:
    work = globals()[name](Path(folder), *words)
    fresh = Path("/proc/self/clear_refs")
    if fresh.is_file():
        fresh.write_text("5")  # the peak so far is forgotten
    begin, used = time.perf_counter(), time.process_time()
    work()
    print(json.dumps([time.perf_counter() - begin, time.process_time() - used, _peak_mb()]))


def _peak_mb() -> float:
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(told.split()[1]) / 1024


def make_source(folder: Path, rows: str) -> Work:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    n = int(rows) // len(PERIODS) * len(PERIODS)
    rng = np.random.default_rng(1)
    known = 1.26e15 + np.arange(n) * 1e6
    moments = pa.timestamp("us", tz="UTC")
    table = pa.table(
        {
            "period": pa.array(np.repeat(PERIODS, n // len(PERIODS))),
            "lead_id": pa.array(np.char.add("lead-", np.arange(n).astype(str))),
            "created_at": pa.array(known.astype("int64"), moments),
            "known_at": pa.array((known + rng.integers(0, 10**9, n)).astype("int64"), moments),
            "version": pa.array(rng.integers(1, 4, n)),
            "job": pa.array(["admin", "blue-collar", "retired", None]).take(pa.array(rng.integers(0, 4, n))),
            "age": pa.array(rng.integers(18, 90, n)),
            "balance": pa.array(rng.normal(1000, 500, n)),
            "score": pa.array(rng.random(n)),
            "source_file": pa.array(["a.csv", "b.csv"]).take(pa.array(rng.integers(0, 2, n))),
        }
    )
    pq.write_table(table, folder / "source.parquet")
    return lambda: None


def make_long(folder: Path) -> Work:
    import pyarrow.dataset as pads

    from lead_scoring_assets.lakehouse.tables import Lakehouse

    source = pads.dataset(folder / "source.parquet")
    for _ in range(2):
        Lakehouse(folder / "long").append("t", lambda: source.scanner().to_reader())
    return lambda: None


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(*sys.argv[2:])
    else:
        main()
