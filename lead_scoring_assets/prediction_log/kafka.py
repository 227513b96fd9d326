"""The prediction log of several machines, in Kafka: each sends its complete lines as messages, and ingestion reads them.

Kafka may hand over a message again, and never in another order within its partition. A segment stays in one partition, and
each line says at which byte of its segment it begins: what came before is passed over, and what is missing is seen. Who
ingests keeps what was received in a file of its own, together with how far it has read, and takes it in from there.
"""

import contextlib
import hashlib
import logging
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

from lead_scoring_assets.errors import PredictionLogError
from lead_scoring_assets.files import one_at_a_time
from lead_scoring_assets.prediction_log.kafka_address import settings_of, without_secrets
from lead_scoring_assets.prediction_log.segments import Line, LogFolder
from lead_scoring_assets.settings import ServingLog

if TYPE_CHECKING:
    import confluent_kafka

# What matters of it is raised; to the library a producer that gives up is a fatal one.
_UNHEARD = logging.getLogger(f"{__name__}.library")
_UNHEARD.propagate = False
_UNHEARD.addHandler(logging.NullHandler())
_PATIENCE_SECONDS = 5.0
_SENT_LINES = 5_000
_READ_MESSAGES = 5_000
_START = "start_byte"
_TABLES = """
    CREATE TABLE IF NOT EXISTS sent (topic, segment, partition, reached, PRIMARY KEY (topic, segment)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS read_to (topic, partition, next_offset, last, PRIMARY KEY (topic, partition)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS segments (segment PRIMARY KEY, reached) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS lines (segment, start_byte, line, PRIMARY KEY (segment, start_byte)) WITHOUT ROWID;
"""


class KafkaLog:
    """Lines in a topic of Kafka, of every machine. A `LogSource`.

    `address`: `host:port`, several with commas between; or settings of librdkafka with semicolons between, such as
    `bootstrap.servers=host:9093;security.protocol=SASL_SSL;sasl.mechanism=PLAIN;sasl.username=…;sasl.password=…`.
    `book`: this machine's file of what it sent and what it received; it begins anew where it is missing: everything is then
    sent, and read, once more, and taken in once.
    """

    def __init__(self, address: str, topic: str, book: Path) -> None:
        self._settings = settings_of(address)
        self._topic, self._book = topic, book
        self._producer: confluent_kafka.Producer | None = None
        self._trouble: str | None = None

    @classmethod
    def of(cls, settings: ServingLog, book: Path) -> Self:
        """The cluster whose address stands in the environment variable that the settings name.

        Raises:
            PredictionLogError: the variable is not set or cannot be read, or the library is missing.
        """
        _library()
        address = os.environ.get(settings.secret)
        if not address:
            raise PredictionLogError(
                f"serving.log.sink is kafka, expected the brokers' address in the environment variable {settings.secret}, found "
                "none. Set it, such as broker:9092, or set the sink to files."
            )
        return cls(address, settings.topic, book)

    def ends(self) -> Mapping[str, int]:
        self.receive()
        with self._opened() as book:
            return dict(book.execute("SELECT segment, reached FROM segments ORDER BY segment").fetchall())

    def lines(self, segment: str, since: int, until: int) -> Iterator[Line]:
        """As of a folder; bytes that Kafka had let go of before they were read stand as one line that tells so."""
        reached = since
        with self._opened() as book:
            found = book.execute(
                "SELECT start_byte, line FROM lines WHERE segment = ? AND start_byte >= ? AND start_byte < ? "
                "ORDER BY start_byte",
                [segment, since, until],
            )
            for start, content in found:
                if start > reached:
                    yield _lost(segment, reached, start)
                reached = start + len(content) + 1
                yield Line(segment, start, reached, content)

    def remove(self, segment: str, taken_in: int) -> bool:
        """Delete the lines that were taken in. How far the segment was read stays, so that nothing is received again."""
        with self._opened() as book:
            return (
                book.execute("DELETE FROM lines WHERE segment = ? AND start_byte < ?", [segment, taken_in]).rowcount > 0
            )

    def send(self, folder: LogFolder) -> int:
        """Send every complete line of `folder` that was not sent yet; how many. Segments that are sent to their end, and that
        nobody writes to, are removed from the folder.

        Raises:
            PredictionLogError: the brokers cannot be reached or refuse; what they have confirmed counts, the rest is sent
                again.
        """
        count = 0
        with self._alone("sending"), self._opened() as book, self._talking():
            known = {
                segment: (partition, reached)
                for segment, partition, reached in book.execute(
                    "SELECT segment, partition, reached FROM sent WHERE topic = ?", [self._topic]
                )
            }
            for segment, end in folder.ends().items():
                partition, reached = known.get(segment, (None, 0))
                lines = folder.lines(segment, reached, end)
                while part := list(islice(lines, _SENT_LINES)):
                    partition = self._partition_of(segment) if partition is None else partition
                    self._produce(partition, part)
                    reached, count = part[-1].end, count + len(part)
                    book.execute(
                        "INSERT OR REPLACE INTO sent VALUES (?, ?, ?, ?)", [self._topic, segment, partition, reached]
                    )
                if reached:
                    folder.remove(segment, reached)
        return count

    def receive(self) -> int:
        """Read what the topic held when this began; how many lines were new.

        Raises:
            PredictionLogError: the brokers cannot be reached or refuse; what was read stays.
        """
        with self._alone("receiving"), self._opened() as book, self._talking():
            consumer = self._consumer()
            try:
                unread = self._unread(book, consumer)
                return sum(self._keep(book, messages) for messages in self._messages(consumer, unread))
            finally:
                consumer.close()

    def _partition_of(self, segment: str) -> int:
        """Where a segment is sent to; it stays there, also when the topic is given more partitions."""
        return zlib.crc32(segment.encode()) % len(self._partitions(self._sender(), is_needed=True))

    def _produce(self, partition: int, lines: Iterable[Line]) -> None:
        """Send lines, and wait until the brokers have confirmed them."""
        producer = self._sender()
        refused: list[Any] = []

        def told(problem: Any, _: Any) -> None:
            if problem is not None:
                refused.append(problem)

        for line in lines:
            producer.produce(
                self._topic,
                line.content,
                line.segment.encode(),
                partition,
                on_delivery=told,
                headers={_START: str(line.start).encode()},
            )
        left = producer.flush(2 * _PATIENCE_SECONDS)
        if refused or left:
            raise self._problem(str(refused[0]) if refused else f"{left:,} messages were not confirmed in time")

    def _unread(self, book: sqlite3.Connection, consumer: "confluent_kafka.Consumer") -> dict[int, tuple[Any, int]]:
        """By partition that holds something new, where to read on, and the offset after its last message.

        A topic that was made anew counts its offsets from the start. It is read from there where the message before the
        next one is not the last that was read: what is not new is passed over.
        """
        known: dict[int, tuple[int, bytes]] = {
            partition: (next_offset, last)
            for partition, next_offset, last in book.execute(
                "SELECT partition, next_offset, last FROM read_to WHERE topic = ?", [self._topic]
            )
        }
        ends = {
            partition: consumer.get_watermark_offsets(self._at(partition), timeout=_PATIENCE_SECONDS)
            for partition in self._partitions(consumer, is_needed=False)
        }
        lasts = {
            partition: known[partition][0] - 1
            for partition, (low, high) in ends.items()
            if partition in known and low < known[partition][0] <= high
        }
        same = {
            partition
            for partition, message in self._first_from(consumer, lasts).items()
            if _fingerprint(message) == known[partition][1]
        }
        unread = {}
        for partition, (low, high) in ends.items():
            start = known[partition][0] if partition in same else low
            if start < high:
                unread[partition] = self._at(partition, start), high
        return unread

    def _first_from(self, consumer: "confluent_kafka.Consumer", offsets: Mapping[int, int]) -> dict[int, Any]:
        """The first message of each partition from an offset on."""
        consumer.assign([self._at(partition, offset) for partition, offset in offsets.items()])
        found: dict[int, Any] = {}
        waited_for = set(offsets)
        while waited_for:
            [message] = self._arrived(consumer, 1)
            if message.error() is None:
                found.setdefault(message.partition(), message)
            waited_for.discard(message.partition())
        return found

    def _messages(
        self, consumer: "confluent_kafka.Consumer", unread: Mapping[int, tuple[Any, int]]
    ) -> Iterator[list[Any]]:
        """What the partitions held, some at a time."""
        consumer.assign([place for place, _ in unread.values()])
        waited_for = set(unread)
        while waited_for:
            messages = []
            for message in self._arrived(consumer, _READ_MESSAGES):
                if message.error() is None:
                    messages.append(message)
                    is_last = message.offset() + 1 >= unread[message.partition()][1]
                else:
                    is_last = True  # its last offsets hold no message
                if is_last:
                    waited_for.discard(message.partition())
            yield messages

    def _arrived(self, consumer: "confluent_kafka.Consumer", most: int) -> list[Any]:
        """One message or more; one with an error tells that its partition holds no further one."""
        first = consumer.poll(_PATIENCE_SECONDS)
        if first is None:
            raise self._problem(f"nothing came in {_PATIENCE_SECONDS:.0f} seconds")
        messages = [first, *(consumer.consume(most - 1, 0) if most > 1 else ())]
        for message in messages:
            problem = message.error()
            if problem is not None and problem.code() != _library().KafkaError._PARTITION_EOF:
                raise self._problem(problem.str())
        return messages

    def _at(self, partition: int, offset: int = -1) -> Any:
        return _library().TopicPartition(self._topic, partition, offset)

    def _keep(self, book: sqlite3.Connection, messages: Iterable[Any]) -> int:
        """Write messages down, and how far they reach, together; how many lines were new."""
        count = 0
        lasts: dict[int, Any] = {}
        with _together(book):
            for message in messages:
                segment, start = _place(message)
                content = message.value() or b""
                [reached] = book.execute("SELECT reached FROM segments WHERE segment = ?", [segment]).fetchone() or [0]
                if start >= reached:
                    book.execute("INSERT INTO lines VALUES (?, ?, ?)", [segment, start, content])
                    end = start + len(content) + 1
                    book.execute("INSERT OR REPLACE INTO segments VALUES (?, ?)", [segment, end])
                    count += 1
                lasts[message.partition()] = message
            for partition, last in lasts.items():
                told = [self._topic, partition, last.offset() + 1, _fingerprint(last)]
                book.execute("INSERT OR REPLACE INTO read_to VALUES (?, ?, ?, ?)", told)
        return count

    def _partitions(self, client: Any, *, is_needed: bool) -> list[int]:
        """Those of the topic; none where nobody has made it yet, which is an error to who needs one."""
        found = client.list_topics(self._topic, timeout=_PATIENCE_SECONDS).topics[self._topic]
        if found.error is None:
            return sorted(found.partitions)
        if not is_needed and found.error.code() == _library().KafkaError.UNKNOWN_TOPIC_OR_PART:
            return []
        raise self._problem(f"topic {self._topic}: {found.error.str()}")

    def _sender(self) -> "confluent_kafka.Producer":
        if self._producer is None:
            # Confirmed by every replica, in order. No message gives up alone, while those behind it arrive: who waits gives
            # up for all of them.
            durable = {"enable.idempotence": True, "enable.gapless.guarantee": True, "message.timeout.ms": 0}
            self._producer = _library().Producer(self._common() | durable)
        return self._producer

    def _consumer(self) -> "confluent_kafka.Consumer":
        # The group is never joined: who reads remembers by itself how far.
        reading = {"group.id": "lead-scoring", "enable.auto.commit": False, "enable.partition.eof": True}
        return _library().Consumer(self._common() | reading | {"auto.offset.reset": "earliest"})  # type: ignore[no-any-return]

    def _common(self) -> dict[str, Any]:
        def heard(problem: Any) -> None:
            self._trouble = problem.str()

        self._trouble = None
        return {**self._settings, "error_cb": heard, "logger": _UNHEARD}

    @contextlib.contextmanager
    def _talking(self) -> Iterator[None]:
        """What the library raises is told in our words; whatever is raised, nothing waits to be sent afterwards."""
        kafka = _library()
        try:
            yield
        except kafka.KafkaException as problem:
            self._drop_what_waits()
            raise self._problem(problem.args[0].str()) from None
        except Exception:
            self._drop_what_waits()
            raise

    def _drop_what_waits(self) -> None:
        """It is sent again from the folder, by another producer: after this one's, which may still arrive."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()

    def _problem(self, told: str) -> PredictionLogError:
        told = f"{told}; {self._trouble}" if self._trouble and self._trouble not in told else told
        told = without_secrets(told, self._settings)
        return PredictionLogError(
            f"the prediction log in Kafka cannot be reached, written or read ({told}): expected topic {self._topic} at the "
            "brokers that the environment names. The records are kept on this machine, and are sent when it is back."
        )

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        self._book.parent.mkdir(parents=True, exist_ok=True)
        try:
            with contextlib.closing(sqlite3.connect(self._book, timeout=30, isolation_level=None)) as book:
                book.execute("PRAGMA journal_mode=WAL")
                book.executescript(_TABLES)
                yield book
        except sqlite3.Error as problem:
            raise PredictionLogError(
                f"{self._book} cannot be read or written ({problem}): expected what was sent to Kafka and received from it, on a "
                "disk with room. If it is damaged, move it away: what was sent is then sent and read again, and taken in once."
            ) from problem

    def _alone(self, doing: str) -> contextlib.AbstractContextManager[None]:
        return one_at_a_time(self._book.with_name(f"{self._book.name}.{doing}.lock"))


def _place(message: Any) -> tuple[str, int]:
    """The segment of a message, and its first byte there. What is none of ours counts as a segment of its own."""
    headers = dict(message.headers() or ())
    try:
        segment, start = message.key().decode(), int(headers[_START])
    except (AttributeError, KeyError, TypeError, ValueError):
        segment, start = "", 0
    if not segment or start < 0:
        return f"foreign-{message.topic()}-{message.partition()}-{message.offset()}", 0
    return segment, start


def _fingerprint(message: Any) -> bytes:
    return hashlib.sha256(repr((message.key(), message.headers(), message.value())).encode()).digest()


def _lost(segment: str, start: int, end: int) -> Line:
    told = (
        f"{end - start:,} bytes of the log were no longer in Kafka when they were read: keep messages there for longer"
    )
    return Line(segment, start, end, b"", told)


@contextlib.contextmanager
def _together(book: sqlite3.Connection) -> Iterator[None]:
    book.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        book.execute("ROLLBACK")
        raise
    book.execute("COMMIT")


def _library() -> ModuleType:
    try:
        import confluent_kafka
    except ImportError:
        raise PredictionLogError(
            "serving.log.sink is kafka, expected the library confluent-kafka, found none. Install it with "
            "`pip install 'lead-scoring[kafka]'`, or set the sink to files."
        ) from None
    return confluent_kafka
