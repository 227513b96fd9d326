"""The log of several machines, against a real server: each line arrives once, and a database that is down costs nothing."""

import builtins
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from lead_scoring_assets.errors import PredictionLogError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.prediction_log import quality
from lead_scoring_assets.prediction_log.forwarding import Forwarder
from lead_scoring_assets.prediction_log.ingestion import ingest
from lead_scoring_assets.prediction_log.postgresql import PostgresLog
from lead_scoring_assets.prediction_log.segments import LogFolder
from lead_scoring_assets.prediction_log.sources import forwarding, open_source
from lead_scoring_assets.prediction_log.tables import INGESTED, PREDICTIONS, SHADOWS
from lead_scoring_assets.prediction_log.writer import LogWriter
from lead_scoring_assets.serving.shadow_turn import shadow_folder
from lead_scoring_assets.settings import ServingLog
from lead_scoring_tests.prediction_log.conftest import PostgresServer
from lead_scoring_tests.prediction_log.shared import nothing_is_taken_in_twice_by_another_sink
from lead_scoring_tests.prediction_log.test_ingestion import accounted
from lead_scoring_tests.prediction_log.worlds import World, feedback, lines, score, shadow
from lead_scoring_tests.serving.shadowed import shadow_all

SENDS = """
import sys
from pathlib import Path
from lead_scoring_assets.prediction_log import postgresql
from lead_scoring_assets.prediction_log.segments import LogFolder
postgresql._SENT_BYTES = 2_000
print("ready", flush=True)
postgresql.PostgresLog(sys.argv[1]).send(LogFolder(Path(sys.argv[2])))
"""
UNREACHABLE = "postgresql://postgres:secret-word@127.0.0.1:1/none"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "a home")


@pytest.fixture
def log(postgres: PostgresServer, request: pytest.FixtureRequest) -> PostgresLog:
    return PostgresLog(postgres.database(request.node.name.replace("[", "_").replace("]", "_")[:60]))


def stored(log: PostgresLog) -> list[tuple[str, int, int, bytes]]:
    with log.connected() as connection:
        found = connection.execute(
            "SELECT segment, start_byte, end_byte, line FROM prediction_log ORDER BY segment, start_byte"
        )
        return [(segment, start, end, bytes(line)) for segment, start, end, line in found]


def test_lines_go_through_the_database_into_the_same_tables(world: World, log: PostgresLog) -> None:
    odd = score(3, lead_id="O'Brien; DROP TABLE prediction_log;-- \u2028 \U0001f600")
    world.log(score(1), b"\x00\xff damaged\n", shadow(1), feedback(1), odd)
    raw = b"".join(path.read_bytes() for path in sorted(world.folder.glob("*.jsonl")))
    assert log.send(world.source) == 5
    assert b"".join(line + b"\n" for *_, line in stored(log)) == raw
    done = ingest(world.house, log)
    assert done.lines == 5
    assert world.column(PREDICTIONS, "lead_id") == ["lead 1", odd["lead_id"]]
    assert set(world.column(PREDICTIONS, "segment")) <= set(log.ends())
    assert len(done.landed) == 1
    accounted(world)
    assert ingest(world.house, log).lines == 0


def test_a_segment_leaves_the_machine_when_it_is_sent_and_nobody_writes_to_it(world: World, log: PostgresLog) -> None:
    writer = LogWriter(world.folder, "w0")
    writer.write(lines([score(1)]))
    world.log(score(2), worker="w1")
    assert log.send(world.source) == 2
    assert len(world.source.ends()) == 1
    writer.write(lines([score(3)]) + b'{"torn')
    assert log.send(world.source) == 1
    assert log.send(world.source) == 0
    writer.close()
    log.send(world.source)
    assert world.source.ends() == {}
    assert [line for *_, line in stored(log)] == [lines([score(n)])[:-1] for n in (1, 3, 2)]


def test_workers_of_the_same_name_on_two_machines_do_not_meet(tmp_path: Path, log: PostgresLog) -> None:
    for machine in ("one", "two"):
        world = World.make(tmp_path / machine)
        world.log(score(1, lead_id=machine))
        assert log.send(world.source) == 1
    assert len(log.ends()) == 2
    assert sorted(line for *_, line in stored(log)) == [lines([score(1, lead_id=m)])[:-1] for m in ("one", "two")]


def test_who_changes_the_sink_takes_nothing_in_twice(world: World, log: PostgresLog) -> None:
    nothing_is_taken_in_twice_by_another_sink(world, log)


def test_kill_9_while_sending_neither_loses_nor_doubles_a_line(world: World, log: PostgresLog) -> None:
    world.log(*(score(n) for n in range(400)))
    expected = [line.content for s, end in world.source.ends().items() for line in world.source.lines(s, 0, end)]
    address = log._address
    for pause in (0.0, 0.05, 0.1):
        with subprocess.Popen(
            [sys.executable, "-c", SENDS, address, str(world.folder)], stdout=subprocess.PIPE
        ) as victim:
            assert victim.stdout is not None
            victim.stdout.readline()
            while victim.poll() is None and not stored(log):
                time.sleep(0.002)
            time.sleep(pause)
            victim.send_signal(signal.SIGKILL)
    log.send(world.source)
    assert [line for *_, line in stored(log)] == expected
    ends = [(start, end) for _, start, end, _ in stored(log)]
    assert [start for start, _ in ends] == [0, *(end for _, end in ends)][:-1]


def test_two_that_send_one_folder_send_each_line_once(world: World, log: PostgresLog) -> None:
    writer = LogWriter(world.folder, "w0")  # stays open, so that nobody removes it
    writer.write(lines([score(n) for n in range(300)]))
    problems: list[Exception] = []

    def send() -> None:
        try:
            PostgresLog(log._address).send(world.source)
        except PredictionLogError as problem:
            problems.append(problem)

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    assert problems == []
    assert len(stored(log)) == 300


def test_a_database_that_is_down_delays_nobody_and_loses_nothing(
    world: World, log: PostgresLog, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lead_scoring_assets.prediction_log.forwarding._INTERVAL_SECONDS", 0.05)
    writer = LogWriter(world.folder, "w0")
    forwarder = Forwarder(log, world.source)
    forwarder.start()
    writer.write(lines([score(1)]))
    _until(lambda: len(stored(log)) == 1)
    postgres.stop()
    try:
        for number in range(2, 50):
            writer.write(lines([score(number)]))  # no error, though nobody takes it
        _until(lambda: forwarder.problem is not None)
        assert "secret-word" not in str(forwarder.problem)
    finally:
        postgres.start()
    _until(lambda: forwarder.problem is None and len(stored(log)) == 49)
    writer.write(lines([score(50)]))
    writer.close()
    forwarder.stop()
    assert len(stored(log)) == 50
    assert ingest(world.house, log).lines == 50
    accounted(world)


def test_the_shadow_reads_what_was_sent_away_and_its_records_find_their_leads(world: World, log: PostgresLog) -> None:
    for worker in ("w0", "w1"):
        writer = LogWriter(world.folder, worker, unread=shadow_folder(world.home))
        writer.write(lines([score(n, shadow_version=4) for n in range(20)]))
        writer.close()
    assert log.send(world.source) == 40
    assert world.source.ends() == {}
    shadow_all(world.home)
    assert log.send(world.source) == 40
    ingest(world.house, log)
    found = {(row["of_segment"], row["of_byte"]): row for row in world.rows(SHADOWS)}
    assert len(found) == 40
    for row in world.rows(PREDICTIONS):
        assert found[row["segment"], row["start_byte"]]["request_id"] == row["request_id"]
    finding = quality.every_shadowed_lead_once(world.house)
    assert (finding.passed, finding.numbers["leads"]) == (True, 40)


def _until(is_so: Any) -> None:
    while not is_so():
        time.sleep(0.01)


def test_lines_that_are_in_the_lakehouse_are_let_go_of_after_their_time(world: World, log: PostgresLog) -> None:
    world.log(score(1))
    log.send(world.source)
    assert ingest(world.house, log).removed == []
    world.later(hours=25)
    assert len(ingest(world.house, log).removed) == 1
    assert stored(log) == []
    assert ingest(world.house, log).removed == []
    assert len(world.rows(INGESTED)) == 1


def test_what_is_missing_is_named_with_its_remedy(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ServingLog(sink="postgresql")
    monkeypatch.delenv(settings.secret, raising=False)
    with pytest.raises(PredictionLogError, match=f"environment variable {settings.secret}, found none"):
        PostgresLog.of(settings)
    monkeypatch.setenv(settings.secret, UNREACHABLE)
    with pytest.raises(PredictionLogError, match="cannot be reached") as told:
        PostgresLog.of(settings).ends()
    assert "secret-word" not in str(told.value)
    with pytest.raises(PredictionLogError, match="the address cannot be read"):
        PostgresLog("nonsense secret-word").ends()
    real = builtins.__import__

    def without_psycopg(name: str, *more: Any, **others: Any) -> Any:
        if name == "psycopg":
            raise ImportError(name)
        return real(name, *more, **others)

    monkeypatch.setattr(builtins, "__import__", without_psycopg)
    with pytest.raises(PredictionLogError, match=r"pip install 'lead-scoring\[postgresql\]'"):
        PostgresLog.of(settings).ends()


def test_while_the_api_runs_its_log_is_sent(world: World, log: PostgresLog, monkeypatch: pytest.MonkeyPatch) -> None:
    house = with_sink(world)
    monkeypatch.setenv(house.settings.serving.log.secret, log._address)
    with forwarding(house):
        world.log(score(1))
    assert len(stored(log)) == 1
    with forwarding(world.house):
        world.log(score(2))
    assert len(stored(log)) == 1
    monkeypatch.delenv(house.settings.serving.log.secret)
    with pytest.raises(PredictionLogError, match="found none"), forwarding(house):
        pass


def with_sink(world: World) -> Installation:
    settings = world.house.settings
    log = settings.serving.log.model_copy(update={"sink": "postgresql"})
    house = world.house
    changed = settings.model_copy(update={"serving": settings.serving.model_copy(update={"log": log})})
    house.home.__dict__["settings"] = changed
    return house


def test_the_settings_say_where_the_log_is_read(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = open_source(world.house)
    assert isinstance(found, LogFolder)
    assert found.folder == world.folder
    house = with_sink(world)
    monkeypatch.setenv(house.settings.serving.log.secret, UNREACHABLE)
    assert isinstance(open_source(house), PostgresLog)
