"""Files in write-ahead mode keep their log while they are held, and nothing is held before or after."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, text

from lead_scoring_assets.kept_open import sqlite_files_kept_open


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "events.db"
    with closing(sqlite3.connect(path)) as made:
        made.execute("PRAGMA journal_mode = WAL")
        made.execute("CREATE TABLE t (n)")
    return path


def add(path: Path, number: int) -> None:
    """As Dagster stores an event: an engine, a connection, a commit, and all closed again."""
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO t VALUES (:n)"), {"n": number})


def has_log(path: Path) -> bool:
    return path.with_name(f"{path.name}-wal").exists()


def test_the_log_stays_while_it_is_held_and_is_gone_afterwards(file: Path) -> None:
    add(file, 1)
    assert not has_log(file)
    with sqlite_files_kept_open():
        add(file, 2)
        assert has_log(file)
        with closing(sqlite3.connect(file)) as another:
            assert another.execute("SELECT n FROM t").fetchall() == [(1,), (2,)]
        add(file, 3)
        assert has_log(file)
    assert not has_log(file)
    add(file, 4)
    assert not has_log(file)
    with closing(sqlite3.connect(file)) as another:
        assert another.execute("SELECT count(*) FROM t").fetchall() == [(4,)]


def test_it_lets_go_when_something_fails(file: Path) -> None:
    def fail() -> None:
        with sqlite_files_kept_open():
            add(file, 1)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not has_log(file)


def test_a_file_without_a_log_is_left_alone_until_it_has_one(tmp_path: Path) -> None:
    path = tmp_path / "plain.db"
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE t (n)")
    with sqlite_files_kept_open():
        add(path, 1)
        with closing(sqlite3.connect(path)) as changed:
            assert changed.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
        assert not has_log(path)
        add(path, 2)
        assert has_log(path)
    assert not has_log(path)
