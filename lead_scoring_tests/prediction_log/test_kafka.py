"""The log of several machines, through a broker: each line is taken in once, and a broker that is down costs nothing."""

import builtins
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest

from lead_scoring_assets.errors import PredictionLogError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.prediction_log import kafka, quality
from lead_scoring_assets.prediction_log.forwarding import Forwarder
from lead_scoring_assets.prediction_log.ingestion import ingest
from lead_scoring_assets.prediction_log.kafka import KafkaLog
from lead_scoring_assets.prediction_log.sources import forwarding, open_source
from lead_scoring_assets.prediction_log.tables import INGESTED, PREDICTIONS, REJECTED
from lead_scoring_assets.prediction_log.writer import LogWriter
from lead_scoring_assets.settings import ServingLog
from lead_scoring_tests.prediction_log.broker import Broker, running_broker
from lead_scoring_tests.prediction_log.shared import nothing_is_taken_in_twice_by_another_sink
from lead_scoring_tests.prediction_log.test_ingestion import accounted
from lead_scoring_tests.prediction_log.worlds import World, feedback, lines, score, shadow

SENDS = """
import sys
from pathlib import Path
from lead_scoring_assets.prediction_log import kafka
from lead_scoring_assets.prediction_log.segments import LogFolder
kafka._SENT_LINES = 3
print("ready", flush=True)
kafka.KafkaLog(sys.argv[1], sys.argv[2], Path(sys.argv[3])).send(LogFolder(Path(sys.argv[4])))
"""
RECEIVES = """
import sys
from pathlib import Path
from lead_scoring_assets.prediction_log import kafka
kafka._READ_MESSAGES = 3
print("ready", flush=True)
kafka.KafkaLog(sys.argv[1], sys.argv[2], Path(sys.argv[3])).receive()
"""
UNREACHABLE = "bootstrap.servers=127.0.0.1:1;sasl.password=secret-word"


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that answers late, because the machine is busy, is none that is down."""
    monkeypatch.setattr(kafka, "_PATIENCE_SECONDS", 60.0)


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with running_broker() as found:
        yield found


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "a home")


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


@pytest.fixture
def log(broker: Broker, topic: str, world: World) -> KafkaLog:
    return KafkaLog(broker.address, topic, world.home.serving / "kafka.sqlite")


def received(log: KafkaLog) -> list[tuple[str, int, bytes]]:
    return [(line.segment, line.start, line.content) for s, end in log.ends().items() for line in log.lines(s, 0, end)]


def messages(broker: Broker, topic: str) -> int:
    """How many the broker holds."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": broker.address, "group.id": "test", "log_level": 0})
    try:
        marks = [
            consumer.get_watermark_offsets(confluent_kafka.TopicPartition(topic, partition), timeout=10)
            for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ]
        return sum(high - low for low, high in marks)
    finally:
        consumer.close()


def produce(
    broker: Broker, topic: str, key: bytes | None, value: bytes | None, *, partition: int = -1, **headers: str
) -> None:
    """`partition`: -1 leaves it to the library."""
    producer = confluent_kafka.Producer({"bootstrap.servers": broker.address, "log_level": 0})
    producer.produce(topic, value, key, partition, headers={name: told.encode() for name, told in headers.items()})
    assert producer.flush(10) == 0


def test_lines_go_through_the_broker_into_the_same_tables(world: World, log: KafkaLog) -> None:
    odd = score(3, lead_id="O'Brien; DROP TABLE lines;-- \u2028 \U0001f600")
    world.log(score(1), b"\x00\xff damaged\n", b"\n", shadow(1), feedback(1), odd)
    raw = b"".join(path.read_bytes() for path in sorted(world.folder.glob("*.jsonl")))
    assert log.send(world.source) == 6
    assert log.send(world.source) == 0
    assert b"".join(content + b"\n" for *_, content in received(log)) == raw
    done = ingest(world.house, log)
    assert done.lines == 6
    assert world.column(PREDICTIONS, "lead_id") == ["lead 1", odd["lead_id"]]
    assert set(world.column(PREDICTIONS, "segment")) <= set(log.ends())
    assert len(done.landed) == 1
    accounted(world)
    assert ingest(world.house, log).lines == 0


def test_before_anybody_has_sent_there_is_nothing(log: KafkaLog) -> None:
    assert log.ends() == {}


def test_a_segment_leaves_the_machine_when_it_is_sent_and_nobody_writes_to_it(world: World, log: KafkaLog) -> None:
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
    assert [content for *_, content in received(log)] == [lines([score(n)])[:-1] for n in (1, 3, 2)]


def test_several_machines_send_and_one_takes_in(tmp_path: Path, world: World, broker: Broker, topic: str) -> None:
    for machine in ("one", "two"):
        other = World.make(tmp_path / machine)
        for number in range(3):  # segments, so that several partitions hold some
            other.log(score(number, lead_id=f"{machine} {number}"), worker="w0")
        assert KafkaLog(broker.address, topic, other.home.serving / "kafka.sqlite").send(other.source) == 3
    log = KafkaLog(broker.address, topic, world.home.serving / "kafka.sqlite")
    assert ingest(world.house, log).lines == 6
    expected = [f"{machine} {number}" for machine in ("one", "two") for number in range(3)]
    assert sorted(world.column(PREDICTIONS, "lead_id")) == expected
    accounted(world)


def test_who_changes_the_sink_takes_nothing_in_twice(world: World, log: KafkaLog) -> None:
    nothing_is_taken_in_twice_by_another_sink(world, log)


@pytest.mark.parametrize("killed", ["sender", "receiver"])
def test_kill_9_neither_loses_nor_doubles_a_line(
    world: World, log: KafkaLog, broker: Broker, topic: str, killed: str
) -> None:
    world.log(*(score(n) for n in range(300)))
    expected = [line.content for s, end in world.source.ends().items() for line in world.source.lines(s, 0, end)]
    if killed == "receiver":
        log.send(world.source)
    program = SENDS if killed == "sender" else RECEIVES
    table = "sent" if killed == "sender" else "read"
    for pause in (0.0, 0.01, 0.02):
        with subprocess.Popen(
            [sys.executable, "-c", program, broker.address, topic, str(log._book), str(world.folder)],
            stdout=subprocess.PIPE,
        ) as victim:
            assert victim.stdout is not None
            victim.stdout.readline()
            while victim.poll() is None and not _rows(log, table):
                time.sleep(0.001)
            time.sleep(pause)
            victim.send_signal(signal.SIGKILL)
    log.send(world.source)
    assert [content for *_, content in received(log)] == expected
    assert messages(broker, topic) >= 300  # more where one was killed before it had noted what the broker confirmed
    assert ingest(world.house, log).lines == 300
    accounted(world)


def _rows(log: KafkaLog, table: str) -> int:
    try:
        with sqlite3.connect(log._book) as book:
            [count] = book.execute(f"SELECT count(*) FROM {table}").fetchone()  # our own name
    except sqlite3.Error:
        return 0
    return int(count)


def test_a_lost_book_begins_anew_and_takes_nothing_in_twice(
    world: World, log: KafkaLog, broker: Broker, topic: str
) -> None:
    writer = LogWriter(world.folder, "w0")  # stays open, so that the segment stays
    writer.write(lines([score(n) for n in range(20)]))
    log.send(world.source)
    assert ingest(world.house, log).lines == 20
    for path in log._book.parent.glob("kafka.sqlite*"):
        path.unlink()
    writer.write(lines([score(20)]))
    assert log.send(world.source) == 21
    assert messages(broker, topic) == 41
    assert ingest(world.house, log).lines == 1
    writer.close()
    accounted(world)


def test_two_that_send_one_folder_and_two_that_read_it_do_each_line_once(
    world: World, log: KafkaLog, broker: Broker, topic: str
) -> None:
    writer = LogWriter(world.folder, "w0")
    writer.write(lines([score(n) for n in range(300)]))
    counts: dict[str, list[int]] = {"sent": [], "received": []}

    def work(doing: str) -> None:
        other = KafkaLog(broker.address, topic, log._book)
        counts[doing].append(other.send(world.source) if doing == "sent" else other.receive())

    for doing in ("sent", "received"):
        threads = [threading.Thread(target=work, args=[doing]) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    writer.close()
    assert {doing: sorted(count) for doing, count in counts.items()} == {"sent": [0, 0, 300], "received": [0, 0, 300]}


def test_a_broker_that_hangs_delays_nobody_and_loses_nothing(
    world: World, log: KafkaLog, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lead_scoring_assets.prediction_log.forwarding._INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(kafka, "_PATIENCE_SECONDS", 0.5)
    writer = LogWriter(world.folder, "w0")
    forwarder = Forwarder(log, world.source)
    forwarder.start()
    writer.write(lines([score(1)]))
    _until(lambda: _rows(log, "sent") == 1)
    broker.pause()
    try:
        for number in range(2, 50):
            writer.write(lines([score(number)]))  # no error, though nobody takes it
        _until(lambda: forwarder.problem is not None)
        with pytest.raises(PredictionLogError, match="cannot be reached, written or read"):
            KafkaLog(log._settings["bootstrap.servers"], log._topic, log._book).receive()
    finally:
        broker.go_on()
    monkeypatch.setattr(kafka, "_PATIENCE_SECONDS", 60.0)
    _until(lambda: forwarder.problem is None)
    writer.write(lines([score(50)]))
    writer.close()
    forwarder.stop()
    assert ingest(world.house, log).lines == 50
    accounted(world)


def _until(is_so: Any) -> None:
    while not is_so():
        time.sleep(0.01)


def test_what_kafka_let_go_of_before_it_was_read_is_told(world: World, log: KafkaLog) -> None:
    """The broker of these tests keeps 5 MB of a partition."""
    writer = LogWriter(world.folder, "w0")
    writer.write(lines([score(0)]))
    log.send(world.source)
    assert ingest(world.house, log).lines == 1
    writer.write(lines([score(n, features={"a": "x" * 50_000}) for n in range(1, 200)]))
    log.send(world.source)
    writer.close()
    [(segment, end)] = log.ends().items()
    found = list(log.lines(segment, 0, end))
    assert [line.end for line in found[:-1]] == [line.start for line in found[1:]]  # no byte without an answer
    done = ingest(world.house, log)
    assert done.lines == len(found) - 1 < 199
    [lost] = world.rows(REJECTED)
    assert lost["start_byte"] == len(lines([score(0)]))
    assert "bytes of the log were no longer in Kafka when they were read" in lost["reason"]
    assert not quality.no_line_damaged(world.house).passed
    accounted(world)


def test_a_topic_that_was_made_anew_is_read_from_its_first_message(world: World, log: KafkaLog) -> None:
    writer = LogWriter(world.folder, "w0")
    writer.write(lines([score(n) for n in range(20)]))
    log.send(world.source)
    assert ingest(world.house, log).lines == 20
    with running_broker() as other:
        log = KafkaLog(other.address, log._topic, log._book)
        writer.write(lines([score(n) for n in range(20, 25)]))
        assert log.send(world.source) == 5
        assert ingest(world.house, log).lines == 5
        assert log.receive() == 0
    writer.close()
    accounted(world)


def test_an_empty_partition_of_a_topic_that_was_made_anew_is_not_waited_for(
    world: World, log: KafkaLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not every broker refuses to read behind the end: one stays silent, and nothing more would ever be taken in."""
    world.log(score(1))
    log.send(world.source)
    [segment] = log.ends()
    partition = log._partition_of(segment)
    with running_broker() as other:
        produce(other, log._topic, None, b"not ours", partition=1 if partition == 0 else 0)
        log = KafkaLog(other.address, log._topic, log._book)
        assert log.receive() == 1
        asked = []
        monkeypatch.setattr(KafkaLog, "_messages", lambda _, __, unread: asked.extend(unread) or iter(()))
        assert log.receive() == 0
        assert asked == []


@pytest.mark.parametrize("more", [0, 2])
def test_a_topic_that_was_made_anew_is_known_by_its_messages(
    world: World, log: KafkaLog, broker: Broker, topic: str, more: int
) -> None:
    """Its offsets may have come as far as those of the one before."""
    old, new = (
        {f"w{n}-1".encode(): b"%d" % n + b"*" * 9 for n in numbers} for numbers in (range(3), range(3, 6 + more))
    )
    for key, line in old.items():
        produce(broker, topic, key, line, partition=2, start_byte="0")
    assert log.receive() == 3
    assert log.receive() == 0
    with running_broker() as other:
        log = KafkaLog(other.address, topic, log._book)
        for key, line in new.items():
            produce(other, topic, key, line, partition=2, start_byte="0")
        assert log.receive() == len(new)
        assert log.receive() == 0
    assert _rows(log, "lines") == 6 + more


def test_what_others_write_to_the_topic_is_kept_aside(world: World, log: KafkaLog, broker: Broker, topic: str) -> None:
    world.log(score(1))
    log.send(world.source)
    produce(broker, topic, None, b"not ours")
    produce(broker, topic, b"\xff", b"nor this", start_byte="0")
    produce(broker, topic, b"w0-1", b"nor this", start_byte="-5")
    produce(broker, topic, b"w0-2", None, start_byte="many")
    assert ingest(world.house, log).lines == 5
    assert len(world.rows(PREDICTIONS)) == 1
    assert len(world.rows(REJECTED)) == 4
    accounted(world)


def test_lines_that_are_in_the_lakehouse_are_let_go_of_after_their_time(world: World, log: KafkaLog) -> None:
    world.log(score(1))
    log.send(world.source)
    assert ingest(world.house, log).removed == []
    world.later(hours=25)
    assert len(ingest(world.house, log).removed) == 1
    assert _rows(log, "lines") == 0
    assert ingest(world.house, log).removed == []
    assert len(world.rows(INGESTED)) == 1


def test_what_is_missing_is_named_with_its_remedy(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ServingLog(sink="kafka")
    book = world.home.serving / "kafka.sqlite"
    monkeypatch.setattr(kafka, "_PATIENCE_SECONDS", 0.5)
    monkeypatch.delenv(settings.secret, raising=False)
    with pytest.raises(PredictionLogError, match=f"environment variable {settings.secret}, found none"):
        KafkaLog.of(settings, book)
    monkeypatch.setenv(settings.secret, UNREACHABLE)
    with pytest.raises(PredictionLogError, match="cannot be reached") as told:
        KafkaLog.of(settings, book).ends()
    assert "secret-word" not in str(told.value)
    book.write_bytes(b"no database, " * 100)
    with pytest.raises(PredictionLogError, match=r"kafka\.sqlite cannot be read .* move it away"):
        KafkaLog.of(settings, book).ends()
    real = builtins.__import__

    def without_kafka(name: str, *more: Any, **others: Any) -> Any:
        if name == "confluent_kafka":
            raise ImportError(name)
        return real(name, *more, **others)

    monkeypatch.setattr(builtins, "__import__", without_kafka)
    with pytest.raises(PredictionLogError, match=r"pip install 'lead-scoring\[kafka\]'"):
        KafkaLog.of(settings, book)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("bootstrap.servers=b:1;acks=0", "'acks'"),
        ("b:1;sasl.password=", "'sasl.password'"),
        ("security.protocol=SSL", "names no broker"),
        ("bootstrap.servers=b:1;security.protocol=NONE", "security.protocol"),
        ("bootstrap.servers=b:1;sasl.nonsense=secret-word", "sasl.nonsense"),
    ],
)
def test_an_address_that_cannot_be_read_is_refused_without_its_secrets(tmp_path: Path, address: str, told: str) -> None:
    with pytest.raises(PredictionLogError, match=told) as found:
        KafkaLog(address, "t", tmp_path / "book").ends()
    assert "secret-word" not in str(found.value)


def test_while_the_api_runs_its_log_is_sent(world: World, log: KafkaLog, monkeypatch: pytest.MonkeyPatch) -> None:
    house = with_sink(world, log._topic)
    monkeypatch.setenv(house.settings.serving.log.secret, log._settings["bootstrap.servers"])
    with forwarding(house):
        world.log(score(1))
    source = open_source(house)
    assert isinstance(source, KafkaLog)
    assert len(received(source)) == 1


def with_sink(world: World, topic: str) -> Installation:
    settings = world.house.settings
    log = settings.serving.log.model_copy(update={"sink": "kafka", "topic": topic})
    house = world.house
    house.home.__dict__["settings"] = settings.model_copy(
        update={"serving": settings.serving.model_copy(update={"log": log})}
    )
    return house
