"""A real PostgreSQL server on loopback, started once for the tests that need it."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_OWNER = "postgres"
"""The server refuses root: it is started as the user that its package brings."""


@dataclass(frozen=True)
class PostgresServer:
    """A running server; each test takes a database of its own."""

    binaries: Path
    folder: Path
    port: int

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [*_as_owner(), str(self.binaries / words[0]), *words[1:]],
            capture_output=True,
            text=True,
            cwd=self.folder,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k {self.folder} -c fsync=off"
        log = str(self.folder / "log")
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-m", "immediate", "stop")

    def database(self, name: str) -> str:
        self.run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", _OWNER, name)
        return f"postgresql://{_OWNER}:secret-word@127.0.0.1:{self.port}/{name}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Its absence is a named skip on a user's machine, and a failure where CI runs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    named = shutil.which("initdb")
    if not found and named is None:
        told = "no PostgreSQL server is installed (Debian and Ubuntu: apt-get install postgresql)"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)
    binaries = (found[-1] if found else Path(str(named))).parent
    # Not below pytest's own folder, which only its user may enter.
    folder = Path(tempfile.mkdtemp(prefix="lead-scoring-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, _OWNER)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = PostgresServer(binaries, folder, port)
    try:
        server.run("initdb", "-D", str(folder / "data"), "-U", _OWNER, "-A", "trust", "--no-sync")
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as_owner() -> list[str]:
    if os.geteuid():
        return []
    return ["setpriv", f"--reuid={_OWNER}", f"--regid={_OWNER}", "--clear-groups"]
