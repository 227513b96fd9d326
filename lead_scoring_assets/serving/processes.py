"""The processes of `lead-scoring serve`: servers that share one port, and the shadow. Who dies is started again."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_GRACE_SECONDS = 15.0
_ORPHAN_SECONDS = 0.5
# Who dies sooner than this after its start is given a pause, which doubles.
_SETTLED_SECONDS = 10.0
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 30.0
_ROOM = "lead_scoring_assets.serving"
Tell = Callable[[str], None]


@dataclass
class _Slot:
    """The place of one process. `due`: when it is to be started, while there is none; `code`: with which the last one ended."""

    name: str
    command: Sequence[str]
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    due: float = 0.0
    pause: float = 0.0
    code: int | None = None


class Processes:
    """`count` servers on one listening socket, and the shadow. What waits there when a server dies is taken by another."""

    def __init__(self, root: str, listening: socket.socket, count: int, tell: Tell, *, may_be_open: bool) -> None:
        self._descriptor = listening.fileno()
        self._tell = tell
        arguments = [str(self._descriptor), *(["--may-be-open"] if may_be_open else [])]
        self._servers = [
            _Slot(f"worker w{number}", [f"{_ROOM}.worker", root, f"w{number}", *arguments]) for number in range(count)
        ]
        self._shadow = _Slot("the shadow", [f"{_ROOM}.shadow_process", root])

    def look(self, now: float) -> None:
        """Start whoever is not there, and due; `now` counts seconds."""
        for slot in (*self._servers, self._shadow):
            if slot.process is not None and slot.process.poll() is not None:
                self._note_death(slot, slot.process.returncode, now)
            if slot.process is None and now >= slot.due:
                self._start(slot, now)

    def end(self) -> None:
        """Ask all to end what they are at, and force who does not: the servers, then the shadow, which reads what they wrote."""
        _end(self._servers)
        _end([self._shadow])

    def _start(self, slot: _Slot, now: float) -> None:
        after = [] if slot is not self._shadow or slot.code is None else ["--after", str(slot.code)]
        # A group of its own: Ctrl-C reaches us only, and we end them in order.
        slot.process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            [sys.executable, "-m", *slot.command, *after],
            pass_fds=[] if slot is self._shadow else [self._descriptor],
            start_new_session=True,
        )
        slot.started = now

    def _note_death(self, slot: _Slot, code: int, now: float) -> None:
        slot.process, slot.code = None, code
        is_settled = now - slot.started >= _SETTLED_SECONDS
        slot.pause = 0.0 if is_settled else min(_LONGEST_PAUSE_SECONDS, slot.pause * 2 or _FIRST_PAUSE_SECONDS)
        slot.due = now + slot.pause
        self._tell(f"{slot.name} ended ({code}) and is started again")


def end_with(supervisor: int) -> None:
    """Watch, in a thread, over who started this process: without it this one ends as well. It would hold the port."""
    threading.Thread(target=_wait_for_end_of, args=(supervisor,), daemon=True, name="supervised").start()


def _wait_for_end_of(supervisor: int) -> None:
    while os.getppid() == supervisor:
        time.sleep(_ORPHAN_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def _end(slots: Sequence[_Slot]) -> None:
    running = [slot.process for slot in slots if slot.process is not None]
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    deadline = time.monotonic() + _GRACE_SECONDS
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
