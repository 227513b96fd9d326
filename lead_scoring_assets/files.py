"""Files that appear whole or not at all, and what people are told when they cannot."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lead_scoring_assets.errors import LeadScoringError, StorageError


@contextmanager
def told_of_the_disk(folder: Path) -> Iterator[None]:
    """What the disk refuses in here is told in a sentence that names the file, or `folder` where no file is known.

    Raises:
        StorageError: in place of an OSError.
    """
    try:
        yield
    except OSError as problem:
        raise StorageError(
            f"{problem.filename or folder} cannot be written or read ({problem.strerror or problem}): expected a disk with "
            "room, in a folder that this process may write to. Nothing half-written counts, and what is live stays live; "
            "make room or mend that, then materialise again."
        ) from problem


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Wait for the other processes that hold the same file; the kernel lets go of it when its holder dies."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


@contextmanager
def only_one(lock: Path, refusal: LeadScoringError) -> Iterator[None]:
    """Hold the file while nobody else does, without waiting; the kernel lets go of it when its holder dies.

    Raises:
        LeadScoringError: `refusal`, where another process holds it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise refusal from None
        yield


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader sees the old file or the whole new one, never a part.

    The temporary file lies in the same folder (a rename is atomic only inside one file system) and its name starts
    with a dot and does not end like the final one, so that who lists the folder for data files passes over it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def bring_to_the_disk(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, lie on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
