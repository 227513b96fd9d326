"""A real Spark Connect server on loopback: Sail, which needs no JVM."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

_SERVER = """
import sys
from pysail.spark import SparkConnectServer
server = SparkConnectServer("127.0.0.1", 0)
server.start(background=True)
print(server.listening_address[1], flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture(scope="session")
def spark_remote() -> Iterator[str]:
    """Its address. In a process of its own, which ends with this one even if nobody says so: its input then closes.

    A server that does not start is a failure, because a skip would hide what is not tested.
    """
    with subprocess.Popen(
        [sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        port = server.stdout.readline().decode().strip()
        assert port.isdecimal(), "Sail did not start"
        yield f"sc://127.0.0.1:{port}"
        server.stdin.close()
        server.wait(timeout=60)
