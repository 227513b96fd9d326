"""A real Spark Connect server on loopback: Sail, which needs no JVM."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lead_scoring_assets.features.spark import interpreter

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
        [str(interpreter(None)), "-c", _SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        port = server.stdout.readline().decode().strip()
        assert port.isdecimal(), "Sail did not start"
        yield f"sc://127.0.0.1:{port}"
        server.stdin.close()
        server.wait(timeout=60)


@pytest.fixture
def spark_client(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Spark's client, importable for one test, as it is in the environment that `make spark` makes.

    Afterwards it is gone again: MLflow asks any pyspark that it finds for a session.
    """
    [packages] = interpreter(None).parents[1].glob("lib/python*/site-packages")
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [*sys.path, str(packages)])
    # pyspark takes a process without a main file, as those of parallel tests are, for its own tests, and ends it.
    monkeypatch.setattr(sys.modules["__main__"], "__file__", __file__, raising=False)
    yield
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or ".").is_relative_to(packages):
            del sys.modules[name]
