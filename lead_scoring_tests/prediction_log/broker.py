"""A Kafka broker on loopback, in a process of its own: the one that Kafka's C library carries for tests, asked over TCP.

    python -m lead_scoring_tests.prediction_log.broker

Prints its address. It keeps what it is sent in memory, and of each partition the last 5 MB only.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Broker:
    """A running broker; each test takes a topic of its own."""

    address: str
    process: "subprocess.Popen[str]"

    def pause(self) -> None:
        """It answers nobody, as one whose machine hangs."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def running_broker() -> Iterator[Broker]:
    """A new one, ended at the end."""
    with subprocess.Popen(
        [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Broker(process.stdout.readline().strip(), process)
        finally:
            process.kill()


def _serve() -> None:
    from confluent_kafka import Producer

    owner = Producer({"bootstrap.servers": "replaced", "test.mock.num.brokers": 1, "log_level": 0})
    [broker] = owner.list_topics(timeout=10).brokers.values()
    print(f"{broker.host}:{broker.port}", flush=True)  # noqa: T201  # what it is started for
    sys.stdin.read()  # until whoever started it ends


if __name__ == "__main__":
    _serve()
