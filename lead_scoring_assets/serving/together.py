"""Requests that have arrived whole wait for the end of the loop's turn, and are answered together.

Between requests a processor's caches hold other work. Of several at a time, a step's code and data are there for all but the
first, and one write takes all their records. (Larus and Parkes 2002, Using Cohort Scheduling to Enhance Server Performance.)
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from lead_scoring_assets.serving.requests import Answered, Whole

# More cost each no less, and let the first one wait longer.
TOGETHER = 32


class AtOnce(Protocol):
    """What answers whole POST requests without waiting."""

    def takes_at_once(self, address: bytes) -> bool:
        """Whether requests to this address may be."""

    def at_once(self, requests: Sequence[Whole]) -> Sequence[Answered] | None:
        """The answers; None: the application is to be asked."""


class Connection(Protocol):
    """Whose request waits."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport

    def answered(self, answer: Answered) -> None:
        """Send it."""

    def hand_over(self) -> None:
        """Let the application answer."""


class Waiting:
    """The requests of one turn."""

    def __init__(self, answering: AtOnce) -> None:
        self._answering = answering
        self._held: list[tuple[Connection, Whole]] = []

    def add(self, connection: Connection, request: Whole, *, is_alone: bool) -> None:
        """`is_alone`: there is nobody to wait for."""
        if not self._held and not is_alone:
            connection.loop.call_soon(self.answer)
        self._held.append((connection, request))
        if is_alone or len(self._held) == TOGETHER:
            self.answer()

    def answer(self) -> None:
        """Answer all there are."""
        held, self._held = self._held, []
        if not held:
            return
        try:
            answers = self._answering.at_once([request for _, request in held])
        except BaseException:
            for connection, _ in held:  # who would wait for ever
                connection.transport.abort()
            raise
        if answers is None:
            for connection, _ in held:
                connection.hand_over()
            return
        for (connection, _), answer in zip(held, answers, strict=True):
            connection.answered(answer)
