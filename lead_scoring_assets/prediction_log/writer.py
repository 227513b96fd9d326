"""Appending to the prediction log: a record is with the operating system before its request is answered.

Segments are read elsewhere (`segments.py`).
"""

import fcntl
import os
import secrets
import threading
import time
from pathlib import Path
from typing import Literal

from lead_scoring_assets.errors import PredictionLogError
from lead_scoring_assets.files import bring_to_the_disk

Mode = Literal["write", "strict"]
SUFFIX = ".jsonl"
SEGMENT_BYTES = 64 << 20
_SYNC_SECONDS = 0.01
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_to_the_disk = getattr(os, "fdatasync", os.fsync)  # macOS has only the other


class LogWriter:
    """The one writer of its segments, `<worker>-<start>-<n>.jsonl`; any thread of its process may write.

    Mode `write`: a record outlives the end of this process, by kill -9 as well; the disk has it within some 10 ms. Mode
    `strict`: the disk has it when `write` returns, so that it outlives a power cut too.

    `unread`: a folder in which each segment gets a second name, for one more reader (`unread.py`), who takes that name away
    when everything is read: whoever removes the first one takes nothing from that reader.
    """

    def __init__(
        self,
        folder: Path,
        worker: str,
        mode: Mode = "write",
        segment_bytes: int = SEGMENT_BYTES,
        unread: Path | None = None,
    ) -> None:
        self._folder = folder
        self._unread = unread
        # Tells this process's segments from those of the one that had the worker's name before.
        self._prefix = f"{worker}-{secrets.token_hex(6)}"
        self._is_strict = mode == "strict"
        self._segment_bytes = segment_bytes
        self._writing = threading.Lock()
        self._descriptor: int | None = None
        self._number = 0
        self._length = 0
        self._is_dirty = threading.Event()
        self._is_closed = False
        self._syncing: threading.Thread | None = None
        self._lost: OSError | None = None

    def write(self, record: bytes, *, is_durable: bool = False) -> None:
        """Append `record`, one whole line or several, wholly or not at all; `is_durable`: as in mode `strict`.

        Raises:
            PredictionLogError: the disk does not take it, or the writer is closed; nothing of it counts as written.
        """
        with self._writing:
            if self._is_closed:
                raise PredictionLogError("the prediction log is closed, expected an open one: the process is ending.")
            try:
                self._tell_what_was_lost()
                self._append(record, is_durable=is_durable or self._is_strict)
            except OSError as problem:
                raise PredictionLogError(
                    f"the prediction log in {self._folder} cannot be written ({problem.strerror or problem}): expected a disk "
                    "with room, in a folder that this process may write to. The request is not answered; make room, or mend "
                    "that, and send it again."
                ) from problem
        if not self._is_strict and not self._is_dirty.is_set():
            self._is_dirty.set()

    def close(self) -> None:
        """End the segment; what was written is on the disk."""
        with self._writing:
            if self._is_closed:
                return
            self._is_closed = True
            self._end_segment()
        self._is_dirty.set()
        if self._syncing is not None:
            self._syncing.join()

    def _tell_what_was_lost(self) -> None:
        """The disk refused what had been written: the next request says so, and a new segment begins."""
        if self._lost is not None:
            lost, self._lost = self._lost, None
            self._end_segment()
            raise lost

    def _append(self, record: bytes, *, is_durable: bool) -> None:
        if self._descriptor is not None and self._length + len(record) > self._segment_bytes and self._length:
            self._end_segment()
        descriptor = self._open_segment() if self._descriptor is None else self._descriptor
        try:
            written = os.write(descriptor, record)
            while written < len(record):
                written += os.write(descriptor, record[written:])
            if is_durable:
                _to_the_disk(descriptor)
        except OSError:
            # Half a line would make the next one unreadable. And nothing follows here: of several lines a reader may have
            # taken the first ones already.
            os.ftruncate(descriptor, self._length)
            self._end_segment()
            raise
        self._length += len(record)

    def _open_segment(self) -> int:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._number += 1
        path = self._folder / f"{self._prefix}-{self._number:06}{SUFFIX}"
        descriptor = os.open(path, _FLAGS, 0o640)
        try:
            # Until this process ends, however it does: nobody removes the segment, nor takes it for finished.
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if self._unread is not None:
                self._unread.mkdir(parents=True, exist_ok=True)
                os.link(path, self._unread / path.name)
            for folder in filter(None, (self._folder, self._unread)):
                bring_to_the_disk(folder)
        except OSError:
            os.close(descriptor)
            path.unlink()
            raise
        self._descriptor, self._length = descriptor, 0
        if self._syncing is None and not self._is_strict:
            self._syncing = threading.Thread(target=self._sync, daemon=True, name="prediction-log")
            self._syncing.start()
        return descriptor

    def _end_segment(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            try:
                _to_the_disk(descriptor)
            finally:
                os.close(descriptor)

    def _sync(self) -> None:
        """In a thread: what was written reaches the disk every 10 ms, while others go on writing."""
        while not self._is_closed:
            self._is_dirty.wait()
            self._is_dirty.clear()
            with self._writing:
                # A copy of the descriptor, because the segment may end meanwhile.
                held = None if self._descriptor is None else os.dup(self._descriptor)
            if held is not None:
                try:
                    _to_the_disk(held)
                except OSError as problem:
                    self._lost = problem
                finally:
                    os.close(held)
            time.sleep(_SYNC_SECONDS)
