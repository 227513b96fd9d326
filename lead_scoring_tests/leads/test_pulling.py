"""What a SELECT gives lands once, in the period in which it was known by then."""

import csv
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lead_scoring_assets.errors import SourceError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.leads.pulling import PULLED_FILE, pull
from lead_scoring_assets.periods import Period
from lead_scoring_assets.settings import Home

_SETTINGS = """
name: pulled
periods: {{start: 2024-01-01, end: 2024-07-01}}
columns: {{age: {{kind: integer, role: feature, why: test}}}}
sources:
  time_zone: {zone}
  {landing}
  {entity}:
    sql: {sql}
    rename: {rename}
    {time_format}
"""
_MONTHS = ("2024-01", "2024-02", "2024-03", "2024-04", "2024-05", "2024-06")


def an_installation(
    root: Path,
    sql: str,
    *,
    entity: str = "leads",
    zone: str = "UTC",
    rename: str = "{Id: lead_id, Born: created_at}",
    time_format: str | None = None,
    landing: str | None = None,
) -> Installation:
    root.mkdir(parents=True, exist_ok=True)
    text = _SETTINGS.format(
        sql="|-\n      " + sql.replace("\n", "\n      "),
        entity=entity,
        zone=zone,
        rename=rename,
        time_format=f"time_format: '{time_format}'" if time_format else "",
        landing=f"landing: {landing}" if landing else "",
    )
    (root / "lead_scoring.yaml").write_text(text, encoding="utf-8")
    return Installation(Home(root))


def months(installation: Installation, *keys: str) -> list[Period]:
    return [installation.settings.calendar.period(key) for key in keys or _MONTHS]


def write_rows(path: Path, rows: list[tuple[str, ...]], header: tuple[str, ...] = ("Id", "Born", "Age")) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def landed(installation: Installation, key: str, entity: str = "leads") -> list[tuple[str | None, ...]]:
    table = pq.read_table(installation.home.landing / entity / key / PULLED_FILE)
    return [tuple(row.values()) for row in table.to_pylist()]


def ids(installation: Installation, key: str) -> list[str | None]:
    return [row[0] for row in landed(installation, key)]


_FROM_CSV = "SELECT * FROM read_csv('export.csv', header = true, all_varchar = true)"


def test_each_row_lands_in_the_first_period_by_whose_end_it_was_known(tmp_path: Path) -> None:
    # Relative to the home, whatever the current folder is.
    write_rows(
        tmp_path / "export.csv",
        [
            ("a", "2024-01-05", "1"),
            ("b", "2024-02-01 00:00:00", "2"),
            ("c", "2024-02-01T00:00:01", "3"),
            ("d", "2024-03-09", ""),
        ],
    )
    installation = an_installation(tmp_path, _FROM_CSV)
    written = pull(installation, months(installation, "2024-01", "2024-02", "2024-03"))
    assert written == [f"leads/2024-{month}/{PULLED_FILE}" for month in ("01", "02", "03")]
    assert landed(installation, "2024-01") == [("a", "2024-01-05", "1"), ("b", "2024-02-01 00:00:00", "2")]
    assert ids(installation, "2024-02") == ["c"]
    assert landed(installation, "2024-03") == [("d", "2024-03-09", None)]


def test_a_pulled_period_is_never_pulled_again_and_late_and_changed_rows_land_in_the_next(tmp_path: Path) -> None:
    export = tmp_path / "export.csv"
    write_rows(export, [("a", "2024-01-05", "1"), ("b", "2024-01-06", "2")])
    installation = an_installation(tmp_path, _FROM_CSV)
    pull(installation, months(installation, "2024-01"))
    before = (installation.home.landing / "leads" / "2024-01" / PULLED_FILE).read_bytes()
    write_rows(export, [("a", "2024-01-05", "1"), ("b", "2024-01-06", "22"), ("late", "2024-01-30", "3")])
    assert pull(installation, months(installation, "2024-01")) == []
    assert pull(installation, months(installation, "2024-01", "2024-02")) == [f"leads/2024-02/{PULLED_FILE}"]
    assert (installation.home.landing / "leads" / "2024-01" / PULLED_FILE).read_bytes() == before
    assert landed(installation, "2024-02") == [("b", "2024-01-06", "22"), ("late", "2024-01-30", "3")]
    pull(installation, months(installation, "2024-03"))
    assert landed(installation, "2024-03") == []


def test_a_stated_known_at_goes_before_the_event_time(tmp_path: Path) -> None:
    rows = [("a", "2024-01-05", "2024-03-02"), ("b", "2024-01-06", ""), ("c", "2024-01-07", " ")]
    write_rows(tmp_path / "export.csv", rows, ("Id", "Born", "Seen"))
    installation = an_installation(tmp_path, _FROM_CSV, rename="{Id: lead_id, Born: created_at, Seen: known_at}")
    pull(installation, months(installation))
    assert [ids(installation, key) for key in _MONTHS[:3]] == [["b", "c"], [], ["a"]]


def test_unreadable_times_and_times_before_the_calendar_land_first_and_nothing_is_lost(tmp_path: Path) -> None:
    export = tmp_path / "export.csv"
    write_rows(
        export, [("old", "1999-01-01", "1"), ("odd", "yesterday", "1"), ("none", "", "1"), ("a", "2024-02-05", "1")]
    )
    installation = an_installation(tmp_path, _FROM_CSV)
    pull(installation, months(installation, "2024-01", "2024-02"))
    assert ids(installation, "2024-01") == ["old", "odd", "none"]
    assert ids(installation, "2024-02") == ["a"]
    write_rows(export, [("odd again", "31/31/2024", "1")])
    pull(installation, months(installation, "2024-01", "2024-02", "2024-03"))
    assert ids(installation, "2024-03") == ["odd again"]


def test_times_are_read_in_their_format_and_zone(tmp_path: Path) -> None:
    # 03:00 on the first of February in Dubai is still January in UTC; 05:00 is not.
    write_rows(tmp_path / "export.csv", [("a", "01/02/2024 03:00", "1"), ("b", "01/02/2024 05:00", "1")])
    installation = an_installation(tmp_path, _FROM_CSV, zone="Asia/Dubai", time_format="%d/%m/%Y %H:%M")
    pull(installation, months(installation, "2024-01", "2024-02"))
    assert (ids(installation, "2024-01"), ids(installation, "2024-02")) == (["a"], ["b"])
    # An offset says more than the zone does.
    write_rows(tmp_path / "export.csv", [("c", "2024-03-01T03:00:00+04:00", "1"), ("d", "2024-03-01T03:00:00Z", "1")])
    installation = an_installation(tmp_path, _FROM_CSV, zone="Asia/Dubai")
    pull(installation, months(installation, "2024-02", "2024-03"))
    pull(installation, months(installation, "2024-03"))
    assert ids(installation, "2024-03") == ["c", "d"]  # February had been pulled already


def test_typed_columns_become_text_that_the_readers_take(tmp_path: Path) -> None:
    table = pa.table(
        {
            "Id": [1, 2],
            "Born": pa.array(
                [datetime.fromisoformat("2024-01-05T01:02:03.000004"), datetime.fromisoformat("2024-02-05")],
                pa.timestamp("us"),
            ),
            "Zoned": pa.array([datetime(2024, 1, 5, tzinfo=UTC)] * 2, pa.timestamp("us", "Asia/Dubai")),
            "Amount": [0.1, 1e21],
            "Flag": [True, None],
        }
    )
    pq.write_table(table, tmp_path / "export.parquet")
    installation = an_installation(tmp_path, "SELECT * FROM read_parquet('export.parquet')")
    pull(installation, months(installation, "2024-01", "2024-02"))
    assert landed(installation, "2024-01") == [
        ("1", "2024-01-05 01:02:03.000004", "2024-01-05T00:00:00.000000Z", "0.1", "true")
    ]
    assert landed(installation, "2024-02")[0][3:] == ("1e+21", None)
    formed = an_installation(
        tmp_path / "formed",
        f'SELECT "Id", "Born" FROM read_parquet(\'{tmp_path}/export.parquet\')',
        time_format="%d.%m.%Y %H:%M",
    )
    pull(formed, months(formed, "2024-01"))
    assert landed(formed, "2024-01") == [("1", "05.01.2024 01:02")]


def test_an_object_with_odd_names_and_a_home_with_odd_characters_are_pulled(tmp_path: Path) -> None:
    home = tmp_path / "it's [a] home*"
    home.mkdir()
    write_rows(home / "export.csv", [("a", "2024-01-05", "x")], ("Id", "Born", 'select "quoted", it\'s'))
    installation = an_installation(home, _FROM_CSV + "; -- a comment at the end")
    pull(installation, months(installation, "2024-01"))
    write_rows(
        home / "export.csv",
        [("a", "2024-01-05", "x"), ("b", "2024-01-06", "y")],
        ("Id", "Born", 'select "quoted", it\'s'),
    )
    pull(installation, months(installation, "2024-02"))
    assert landed(installation, "2024-02") == [("b", "2024-01-06", "y")]


def test_activities_and_outcomes_go_by_their_own_event_time(tmp_path: Path) -> None:
    write_rows(tmp_path / "export.csv", [("a", "2024-02-05", "won")], ("lead_id", "Ended", "outcome"))
    installation = an_installation(tmp_path, _FROM_CSV, entity="outcomes", rename="{Ended: outcome_at}")
    assert pull(installation, months(installation, "2024-01", "2024-02"))[1] == f"outcomes/2024-02/{PULLED_FILE}"
    assert landed(installation, "2024-02", "outcomes") == [("a", "2024-02-05", "won")]


def test_a_column_that_is_added_or_taken_away_is_compared_by_what_there_is(tmp_path: Path) -> None:
    export = tmp_path / "export.csv"
    write_rows(export, [("a", "2024-01-05", "1"), ("b", "2024-01-05", "")])
    installation = an_installation(tmp_path, _FROM_CSV)
    pull(installation, months(installation, "2024-01"))
    write_rows(export, [("a", "2024-01-05"), ("b", "2024-01-05")], ("Id", "Born"))
    pull(installation, months(installation, "2024-02"))
    assert ids(installation, "2024-02") == []
    write_rows(export, [("a", "2024-01-05", "1", ""), ("b", "2024-01-05", "", "new")], ("Id", "Born", "Age", "More"))
    pull(installation, months(installation, "2024-03"))
    assert ids(installation, "2024-03") == ["b"]


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT * FROM read_csv('nowhere.csv')", r"sources\.leads\.sql cannot be run; DuckDB says.*nowhere\.csv"),
        ("SELEC 1", r"sources\.leads\.sql cannot be run; DuckDB says.*SELEC"),
        ("SELECT 1; SELECT 2", "expected one SELECT, found 2 statements"),
        ("CREATE TABLE t (a INT)", "expected one SELECT"),
        ("SELECT 'a' AS \"Id\"", r"the column 'created_at' is missing, found \['Id'\].*sources\.leads\.rename"),
    ],
)
def test_a_select_that_cannot_be_used_is_named_with_its_remedy(tmp_path: Path, sql: str, told: str) -> None:
    installation = an_installation(tmp_path, sql)
    with pytest.raises(SourceError, match=f"(?s){told}"):
        pull(installation, months(installation, "2024-01"))
    assert not list(tmp_path.glob("data/landing/**/*.parquet"))


def test_a_row_that_the_source_cannot_give_stops_the_pull_rather_than_being_lost(tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_text("Id,Born,Age\na,2024-01-05,1\nb,2024-01-06\n")
    installation = an_installation(tmp_path, _FROM_CSV.replace("header = true", "delim = ',', skip = 0, header = true"))
    with pytest.raises(SourceError, match=r"(?s)sources\.leads\.sql cannot be run.*export\.csv"):
        pull(installation, months(installation, "2024-01"))


def test_pulling_into_an_object_store_is_refused_and_a_local_folder_is_not(tmp_path: Path) -> None:
    write_rows(tmp_path / "export.csv", [("a", "2024-01-05", "1")])
    refused = an_installation(tmp_path, _FROM_CSV, landing="s3://bucket/landing")
    with pytest.raises(SourceError, match=r"sources\.landing is an object store"):
        pull(refused, months(refused, "2024-01"))
    installation = an_installation(tmp_path, _FROM_CSV, landing="elsewhere")
    pull(installation, months(installation, "2024-01"))
    assert (tmp_path / "elsewhere" / "leads" / "2024-01" / PULLED_FILE).is_file()


def test_a_damaged_earlier_file_is_named(tmp_path: Path) -> None:
    write_rows(tmp_path / "export.csv", [("a", "2024-01-05", "1")])
    installation = an_installation(tmp_path, _FROM_CSV)
    pull(installation, months(installation, "2024-01"))
    (installation.home.landing / "leads" / "2024-01" / PULLED_FILE).write_bytes(b"PAR1 cut off")
    with pytest.raises(SourceError, match=r"(?s)files that were pulled earlier.*restore"):
        pull(installation, months(installation, "2024-02"))


def test_without_a_select_nothing_is_done(tmp_path: Path) -> None:
    (tmp_path / "lead_scoring.yaml").write_text(
        "name: x\nperiods: {start: 2024-01-01}\ncolumns: {age: {kind: integer, role: feature, why: test}}\n"
    )
    installation = Installation(Home(tmp_path))
    assert pull(installation, months(installation, "2024-01")) == []
    assert not (tmp_path / "data").exists()


_DAYS = st.sampled_from(["2023-12-31", "2024-01-15", "2024-02-01", "2024-02-20", "2024-03-03", "2025-01-01", "??", ""])
_ROW = st.tuples(st.sampled_from("abc"), _DAYS, st.sampled_from(["", "1", "2"]))
_STEPS = st.lists(
    st.tuples(st.lists(_ROW, max_size=6), st.lists(st.sampled_from(_MONTHS[:4]), min_size=1, max_size=3, unique=True)),
    min_size=1,
    max_size=5,
)


def _reference(steps: list[tuple[list[tuple[str, ...]], list[str]]]) -> dict[str, list[tuple[str, ...]]]:
    """The rule word for word: known by the period's end, in no file pulled for an earlier period, duplicates once."""
    files: dict[str, list[tuple[str, ...]]] = {}
    for rows, asked in steps:
        wanted = [key for key in sorted(asked) if key not in files]
        for place, key in enumerate(wanted):
            files[key] = []
            end = f"{key[:5]}{int(key[5:]) + 1:02d}-01"
            for row in dict.fromkeys(rows):
                is_readable = row[1].startswith("20")
                is_due = row[1] <= end if is_readable else place == 0
                if is_due and not any(row in held for earlier, held in files.items() if earlier < key):
                    files[key].append(row)
    return files


@hypothesis_settings(max_examples=40)
@given(steps=_STEPS)
def test_whatever_the_source_becomes_between_pulls_the_files_hold_what_the_rule_says(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[list[tuple[str, ...]], list[str]]]
) -> None:
    home = tmp_path_factory.mktemp("rule")
    installation = an_installation(home, _FROM_CSV)
    for rows, asked in steps:
        write_rows(home / "export.csv", rows)
        pull(installation, months(installation, *asked))
    found = {
        path.parent.name: [tuple(cell or "" for cell in row) for row in landed(installation, path.parent.name)]
        for path in (installation.home.landing / "leads").glob(f"*/{PULLED_FILE}")
    }
    assert found == _reference(steps)


def _big_export(path: Path, rows: int) -> None:
    duckdb.sql(
        f"""COPY (SELECT 'L' || i AS "Id", strftime(TIMESTAMP '2024-01-01' + to_minutes((i * 262_000 // {rows})::INT),
            '%Y-%m-%d %H:%M') AS "Born", (i % 80)::VARCHAR AS "Age" FROM range({rows}) t(i)) TO '{path}' (HEADER)"""
    )


_PULL_ALL = """
import sys
from pathlib import Path
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.leads.pulling import pull
from lead_scoring_assets.settings import Home
installation = Installation(Home(Path(sys.argv[1])))
calendar = installation.settings.calendar
print("ready", flush=True)
pull(installation, [calendar.period(key) for key in sys.argv[2:]])
"""


def _start(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _PULL_ALL, str(home), *_MONTHS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _content(installation: Installation) -> dict[str, list[tuple[str | None, ...]]]:
    return {key: landed(installation, key) for key in _MONTHS}


def test_a_pull_that_is_killed_anywhere_goes_on_to_the_same_files(tmp_path: Path) -> None:
    _big_export(tmp_path / "export.csv", 60_000)
    undisturbed = an_installation(tmp_path / "undisturbed", _FROM_CSV.replace("export.csv", "../export.csv"))
    pull(undisturbed, months(undisturbed))
    installation = an_installation(tmp_path / "killed", _FROM_CSV.replace("export.csv", "../export.csv"))
    chance = random.Random(3)
    was_killed = 0
    for _ in range(8):
        process = _start(installation.home.root)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        was_killed += process.returncode == -signal.SIGKILL
        for path in installation.home.landing.glob(f"leads/*/{PULLED_FILE}"):
            assert landed(installation, path.parent.name) == landed(undisturbed, path.parent.name)
    assert was_killed
    pull(installation, months(installation))
    assert _content(installation) == _content(undisturbed)
    assert not list(installation.home.landing.rglob("*.part"))


def test_two_processes_that_pull_at_once_write_each_row_once(tmp_path: Path) -> None:
    _big_export(tmp_path / "export.csv", 20_000)
    installation = an_installation(tmp_path, _FROM_CSV)
    processes = [_start(tmp_path) for _ in range(2)]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    found = [row for key in _MONTHS for row in landed(installation, key)]
    assert len(found) == len(set(found)) == 20_000


def test_a_second_pull_waits_for_the_first(tmp_path: Path) -> None:
    import fcntl

    write_rows(tmp_path / "export.csv", [("a", "2024-01-05", "1")])
    installation = an_installation(tmp_path, _FROM_CSV)
    lock = tmp_path / "data" / "locks" / "pulling.lock"
    lock.parent.mkdir(parents=True)
    done = threading.Event()
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = threading.Thread(target=lambda: (pull(installation, months(installation, "2024-01")), done.set()))
        waiting.start()
        assert not done.wait(0.5)
    waiting.join(timeout=60)
    assert done.is_set()
    assert ids(installation, "2024-01") == ["a"]
