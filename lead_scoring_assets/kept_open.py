"""SQLite files held open while others open and close them: without that, each last closing writes the log back to the disk."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any


@contextmanager
def sqlite_files_kept_open() -> Iterator[None]:
    """Hold one more connection to each SQLite file that SQLAlchemy opens in here, until the end.

    Dagster opens the file anew for every event. The last connection that closes a file in write-ahead mode writes the
    log into the file, waits for the disk and deletes the log: with one that stays, SQLite does so once in a while. What is
    committed lies on the disk as before.
    """
    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    held: set[str] = set()
    with ExitStack() as until_the_end:

        def hold(opened: Any, _: object) -> None:
            if not isinstance(opened, sqlite3.Connection):
                return
            file = opened.execute("PRAGMA database_list").fetchone()[2]
            # Files of the other mode have no log, and one that is new is not yet in this mode.
            if not file or file in held or opened.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                return
            held.add(file)
            ours = until_the_end.enter_context(closing(sqlite3.connect(file, check_same_thread=False)))
            # Only who has read something holds the log.
            ours.execute("SELECT count(*) FROM sqlite_master").fetchone()

        event.listen(Pool, "connect", hold)
        try:
            yield
        finally:
            event.remove(Pool, "connect", hold)
