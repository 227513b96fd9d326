"""The landing sensor: files that are new or changed ask once for their period; whatever else lies there is told."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from lead_scoring_assets.clock import ReplayClock
from lead_scoring_assets.definitions import defs
from lead_scoring_assets.errors import SourceError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.leads.ingestion import FILES_SCHEMA
from lead_scoring_assets.leads.sensors import JOB, leads_landed
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_assets.settings import SETTINGS_FILE, Home

ROOT = Path(__file__).resolve().parents[2]
# The real one, so that a run of a job or a partition that does not exist would be refused as the daemon refuses it.
REPOSITORY = defs.get_repository_def()


@dataclass(frozen=True)
class Tick:
    requests: list[dg.RunRequest]
    skipped: str
    cursor: str

    @property
    def periods(self) -> list[str | None]:
        return [request.partition_key for request in self.requests]

    @property
    def key(self) -> str:
        """The run_key of the only request."""
        (request,) = self.requests
        return str(request.run_key)


@dataclass(frozen=True)
class Landing:
    """A home with a landing folder that tests fill."""

    home: Home
    instance: dg.DagsterInstance

    def lands(self, name: str, content: str = "lead_id\n1\n") -> Path:
        path = self.home.landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path

    def tick(self, cursor: str | None = None) -> Tick:
        resources = {"installation": InstallationResource(root=str(self.home.root))}
        with dg.build_sensor_context(
            instance=self.instance, resources=resources, repository_def=REPOSITORY, cursor=cursor
        ) as context:
            told = leads_landed.evaluate_tick(context)
        return Tick(list(told.run_requests or []), str(told.skip_message), str(told.cursor))

    def ingests(self, period: str) -> None:
        """What the arrival job leaves behind: every file of the period with its checksum."""
        files = [path for path in self.home.landing.glob(f"*/{period}/*") if not path.name.startswith(".")]
        rows = [
            {
                "period": period,
                "entity": path.parts[-3],
                "source_file": "/".join(path.parts[-3:]),
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            for path in files
        ]
        table = pa.Table.from_pylist(rows, schema=FILES_SCHEMA)
        Installation(self.home).lakehouse.replace_periods("arrived_files", [period], table)


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def landing(tmp_path: Path, instance: dg.DagsterInstance) -> Landing:
    """The clock stands at the end of 2008-07."""
    shutil.copy(ROOT / SETTINGS_FILE, tmp_path)
    home = Home(tmp_path)
    ReplayClock(home.clock_file).move_to(datetime(2008, 8, 1, tzinfo=UTC))
    return Landing(home, instance)


def test_it_runs_the_arrival_job_from_the_start() -> None:
    assert leads_landed.job_name == JOB
    assert leads_landed.default_status == dg.DefaultSensorStatus.RUNNING
    assert leads_landed.minimum_interval_seconds == 30


def test_where_nothing_landed_nothing_is_asked(landing: Landing) -> None:
    tick = landing.tick()
    assert (tick.requests, tick.skipped) == ([], "all files of 0 periods are ingested")


def test_new_files_ask_for_their_period(landing: Landing) -> None:
    landing.lands("leads/2008-06/a.csv")
    landing.lands("activities/2008-06/a.csv")
    landing.lands("outcomes/2008-06/a.csv")
    tick = landing.tick()
    assert tick.periods == ["2008-06"]
    assert tick.key.startswith("landed-2008-06-")
    assert set(json.loads(tick.cursor)) == {f"{entity}/2008-06/a.csv" for entity in ("leads", "activities", "outcomes")}


def test_the_same_files_ask_with_the_same_key_until_they_are_ingested(landing: Landing) -> None:
    landing.lands("leads/2008-06/a.csv")
    first = landing.tick()
    second = landing.tick(first.cursor)
    assert second.key == first.key
    assert second.cursor == first.cursor
    landing.ingests("2008-06")
    third = landing.tick(second.cursor)
    assert (third.requests, third.skipped) == ([], "all files of 1 periods are ingested")


@pytest.mark.parametrize(
    "change",
    ["changed", "changed, same size", "added", "renamed", "taken away"],
)
def test_any_change_of_a_periods_files_asks_again(landing: Landing, change: str) -> None:
    first = landing.lands("leads/2008-06/a.csv", "lead_id\n1\n")
    second = landing.lands("leads/2008-06/b.csv", "lead_id\n5\n")
    before = landing.tick()
    landing.ingests("2008-06")
    before_change = landing.tick(before.cursor)
    assert before_change.requests == []
    if change == "changed":
        first.write_text("lead_id\n1\n2\n")
    if change == "changed, same size":
        stat = first.stat()
        first.write_text("lead_id\n2\n")
        os.utime(first, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
        assert first.stat().st_size == stat.st_size
    if change == "added":
        landing.lands("outcomes/2008-06/c.csv")
    if change == "renamed":
        first.rename(first.with_name("z.csv"))
    if change == "taken away":
        second.unlink()
    after = landing.tick(before_change.cursor)
    assert after.periods == ["2008-06"]
    assert after.key != before.key
    landing.ingests("2008-06")
    assert landing.tick(after.cursor).requests == []


def test_a_file_that_was_only_touched_asks_for_nothing(landing: Landing) -> None:
    path = landing.lands("leads/2008-06/a.csv")
    landing.ingests("2008-06")
    cursor = landing.tick().cursor
    os.utime(path, ns=(0, 0))
    tick = landing.tick(cursor)
    assert tick.requests == []
    assert tick.cursor != cursor


def test_an_unchanged_file_is_not_read_again(landing: Landing) -> None:
    path = landing.lands("leads/2008-06/a.csv")
    remembered = json.dumps({"leads/2008-06/a.csv": [path.stat().st_size, path.stat().st_mtime_ns, "as remembered"]})
    first, second = landing.tick(), landing.tick(remembered)
    assert json.loads(second.cursor)["leads/2008-06/a.csv"][2] == "as remembered"
    assert first.key != second.key


def test_several_periods_ask_each_for_themselves(landing: Landing) -> None:
    for period in ("2008-07", "2008-05", "2008-06"):
        landing.lands(f"leads/{period}/a.csv")
    landing.ingests("2008-06")
    tick = landing.tick()
    assert tick.periods == ["2008-05", "2008-07"]
    assert len({request.run_key for request in tick.requests}) == 2


def test_the_same_content_in_two_periods_has_two_keys(landing: Landing) -> None:
    landing.lands("leads/2008-05/a.csv")
    landing.lands("leads/2008-06/a.csv")
    assert len({request.run_key for request in landing.tick().requests}) == 2


def test_a_period_that_is_not_over_waits(landing: Landing) -> None:
    landing.lands("leads/2008-07/a.csv")
    landing.ingests("2008-07")
    landing.lands("leads/2008-08/a.csv")
    tick = landing.tick()
    assert tick.requests == []
    assert tick.skipped == "all files of 1 periods are ingested; 2008-08 is not over yet at 2008-08-01"
    ReplayClock(landing.home.clock_file).move_to(datetime(2008, 9, 1, tzinfo=UTC))
    assert landing.tick(tick.cursor).periods == ["2008-08"]


def test_files_that_nothing_reads_are_named(landing: Landing) -> None:
    landing.lands("leads/2008-06/a.csv")
    landing.ingests("2008-06")
    landing.lands("lost.csv")
    landing.lands("leads/2008-06/sub/deep.csv")
    landing.lands("visits/2008-06/a.csv")
    skipped = landing.tick().skipped
    assert "not read, because they lie outside a period's folder: " in skipped
    for name in ("lost.csv", "leads/2008-06/sub/deep.csv", "visits/2008-06/a.csv"):
        assert name in skipped


def test_files_still_being_written_are_left_alone(landing: Landing) -> None:
    landing.lands("leads/2008-06/.a.csv.part")
    tick = landing.tick()
    assert (tick.requests, tick.cursor) == ([], "{}")


def test_activities_that_land_later_ask_again(landing: Landing) -> None:
    landing.lands("leads/2008-06/a.csv")
    landing.ingests("2008-06")
    landing.lands("activities/2008-06/a.csv")
    assert landing.tick().periods == ["2008-06"]


def with_sources(landing: Landing, sources: str) -> None:
    """The home's settings once more, with these sources."""
    path = landing.home.root / SETTINGS_FILE
    path.write_text(path.read_text(encoding="utf-8") + f"\nsources:\n{sources}", encoding="utf-8")


def test_every_period_that_is_over_and_was_never_pulled_asks_once(landing: Landing) -> None:
    with_sources(landing, "  outcomes: {sql: SELECT 1}\n")
    landing.lands("leads/2008-06/a.csv")
    landing.lands("leads/2008-07/a.csv")
    landing.ingests("2008-07")
    tick = landing.tick()
    assert tick.periods == ["2008-05", "2008-06"]
    assert str(tick.requests[0].run_key) == "pulled-2008-05"
    assert str(tick.requests[1].run_key).startswith("landed-2008-06-"), "files that landed pull their period too"
    ReplayClock(landing.home.clock_file).move_to(datetime(2008, 9, 1, tzinfo=UTC))
    assert [str(request.run_key) for request in landing.tick(tick.cursor).requests][-1] == "pulled-2008-08"


def test_before_the_first_period_is_over_nothing_is_pulled(landing: Landing) -> None:
    with_sources(landing, "  leads: {sql: SELECT 1}\n")
    landing.home.clock_file.unlink()
    ReplayClock(landing.home.clock_file).move_to(datetime(2008, 5, 31, tzinfo=UTC))
    assert landing.tick().requests == []


def test_files_are_looked_for_where_the_settings_say(landing: Landing) -> None:
    with_sources(landing, "  landing: in box\n")
    with pytest.raises(SourceError, match="in box: expected a landing folder there, found none"):
        landing.tick()
    path = landing.home.root / "in box" / "leads" / "2008-06" / "a.csv"
    path.parent.mkdir(parents=True)
    path.write_text("lead_id\n1\n")
    landing.lands("leads/2008-05/elsewhere.csv")
    assert landing.tick().periods == ["2008-06"]


@pytest.mark.parametrize("folder", ["june", "2008-6", "2008-13", "2008-06-01", "2008-06 (copy)", "2008-04", "2011-01"])
def test_a_folder_that_names_no_period_is_told_and_stops_nothing(landing: Landing, folder: str) -> None:
    """Neither words nor months outside the calendar, for which Dagster has no partition."""
    landing.lands(f"leads/{folder}/a.csv")
    ReplayClock(landing.home.clock_file).move_to(datetime(2012, 1, 1, tzinfo=UTC))
    tick = landing.tick()
    assert tick.requests == []
    assert tick.skipped == (
        f"all files of 0 periods are ingested; not read, because they name no period of this system: folders {folder}"
    )
    landing.lands("leads/2008-06/a.csv")
    assert landing.tick(tick.cursor).periods == ["2008-06"]


@pytest.mark.parametrize(
    "cursor",
    [
        None,
        "",
        "{}",
        "{",
        "not JSON",
        "\x00",
        "null",
        "[]",
        "17",
        '"text"',
        '{"leads/2008-06/a.csv": null}',
        '{"leads/2008-06/a.csv": 1}',
        '{"leads/2008-06/a.csv": [1]}',
        '{"leads/2008-06/a.csv": {"size": 1}}',
        '{"leads/2008-06/a.csv": "sha"}',
        '{"leads/2008-06/a.csv": [1, 2, "of another size"]}',
        '{"leads/1999-01/gone.csv": [1, 2, "of another file set"]}',
        '{"after": 12}',
    ],
)
def test_whatever_the_cursor_is_the_files_are_found(landing: Landing, cursor: str | None) -> None:
    path = landing.lands("leads/2008-06/a.csv")
    stat = path.stat()
    tick = landing.tick(cursor)
    assert tick.periods == ["2008-06"]
    assert json.loads(tick.cursor) == {
        "leads/2008-06/a.csv": [stat.st_size, stat.st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()]
    }
    landing.ingests("2008-06")
    assert landing.tick(cursor).requests == []


def test_files_that_are_gone_leave_the_cursor(landing: Landing) -> None:
    path = landing.lands("leads/2008-06/a.csv")
    landing.lands("leads/2008-07/a.csv")
    cursor = landing.tick().cursor
    path.unlink()
    path.parent.rmdir()
    assert set(json.loads(landing.tick(cursor).cursor)) == {"leads/2008-07/a.csv"}


def test_what_was_ingested_and_then_cleared_away_asks_for_nothing(landing: Landing) -> None:
    landing.lands("leads/2008-06/a.csv")
    landing.ingests("2008-06")
    shutil.rmtree(landing.home.landing)
    assert landing.tick().requests == []
