"""HTTP as uvicorn speaks it, with limits to how slowly a request may arrive and how large its head may be, and a short way for
what can be answered as soon as it has arrived."""

import asyncio
import time
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from lead_scoring_assets.serving.requests import ALWAYS, Answered, Whole, lines_of
from lead_scoring_assets.serving.together import AtOnce, Waiting

HEAD_BYTES = 65_536
_HELD_BYTES = 65_536


def protocol(request_seconds: float, answering: AtOnce) -> type[HttpToolsProtocol]:
    """uvicorn's protocol, by which all of a request has to arrive within so many seconds: nobody holds a connection.

    A small request that `answering` takes is held until it is whole, and answered in the same turn of the loop, together with
    those that came whole in it too: a task and ASGI's messages would cost as much as the answer itself. Whatever else comes,
    or comes differently, is handed over to uvicorn as it is.
    """
    begins = _Beginnings()
    waiting = Waiting(answering)

    class LimitedProtocol(HttpToolsProtocol):
        _timer: asyncio.TimerHandle | None = None
        _has_head = False
        _is_whole = False
        _is_refused = False
        _waiting_bytes = 0
        _is_large = False
        _is_held = False
        _body = b""
        _idle_timer: asyncio.TimerHandle | None = None
        _answered_at = 0.0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            if self._idle_timer is not None:
                self._idle_timer.cancel()
            self._settle()
            super().connection_lost(exc)

        def shutdown(self) -> None:
            self._settle()
            super().shutdown()

        def data_received(self, data: bytes) -> None:
            if self._is_refused:
                return
            self._is_large = self._waiting_bytes + len(data) > HEAD_BYTES
            super().data_received(data)
            if self._is_held and not self._is_whole and not self._may_be_waited_for():
                self.hand_over()
            if self._has_head:
                self._waiting_bytes = 0
            else:
                self._waiting_bytes += len(data)
                if self._waiting_bytes > HEAD_BYTES:
                    self._refuse(431, "Request Header Fields Too Large")
            if self._is_whole:
                self._stop_waiting()
            elif self._timer is None:
                self._wait()

        def on_message_begin(self) -> None:
            if self._is_held:
                self._settle()
            self._has_head = self._is_whole = False
            self.url, self.headers, self.expect_100_continue = b"", [], False

        def on_headers_complete(self) -> None:
            self._has_head = True
            # Only what may be too large is counted: nearly every request comes in one small part.
            if self._is_large and sum(len(name) + len(value) for name, value in self.headers) > HEAD_BYTES:
                self._refuse(431, "Request Header Fields Too Large")
            else:
                self._is_held, self._body = True, b""

        def on_body(self, body: bytes) -> None:
            if self._is_held:
                self._body += body
            elif not self._is_refused:
                super().on_body(body)

        def on_message_complete(self) -> None:
            self._is_whole = True
            if self._is_held:
                self._answer()
            elif not self._is_refused:
                super().on_message_complete()

        def _may_be_waited_for(self) -> bool:
            """The rest of a request's body has not come yet; the application would refuse what is too large at once."""
            return (
                answering.takes_at_once(self.url)
                and not self.expect_100_continue
                and any(n == b"content-length" and v.isdigit() and int(v) <= _HELD_BYTES for n, v in self.headers)
            )

        def _answer(self) -> None:
            parser, cycle = self.parser, self.cycle
            if (
                parser.get_method() == b"POST"
                and parser.get_http_version() == "1.1"
                and parser.should_keep_alive()
                and not parser.should_upgrade()
                # Answers go out in the order in which requests came, and to who takes them.
                and (cycle is None or cycle.response_complete)
                and not self.flow.write_paused
                and not self.transport.is_closing()
                and answering.takes_at_once(self.url)
            ):
                request = Whole(self.url, self.headers, self._body, time.perf_counter_ns())
                waiting.add(self, request, is_alone=len(self.connections) == 1)
            else:
                self.hand_over()

        def answered(self, answer: Answered) -> None:
            self._is_held = False
            state = self.server_state
            if not self.transport.is_closing():
                self.transport.write(answer.after(begins.of(answer.status, state.default_headers)))
            state.total_requests += 1
            # uvicorn sets and stops a timer for each request; this one looks again when it is due.
            self._answered_at = self.loop.time()
            if self._idle_timer is None:
                self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._end_when_idle)

        def _end_when_idle(self) -> None:
            self._idle_timer = None
            if self._is_held or not self._is_whole or (self.cycle is not None and not self.cycle.response_complete):
                return
            left = self._answered_at + self.timeout_keep_alive - self.loop.time()
            if left > 0:
                self._idle_timer = self.loop.call_later(left, self._end_when_idle)
            elif self.timeout_keep_alive_task is None:
                self.timeout_keep_alive_handler()

        def _settle(self) -> None:
            """Something else happens to the connection: what was held of it is held no longer."""
            if self._is_held and self._is_whole:
                waiting.answer()
            self.hand_over()

        def hand_over(self) -> None:
            """What is held becomes a request of the application, of which nothing has been read yet."""
            if not self._is_held:
                return
            self._is_held = False
            url, headers, expects = self.url, self.headers, self.expect_100_continue
            super().on_message_begin()
            self.url, self.expect_100_continue = url, expects
            self.headers.extend(headers)
            super().on_headers_complete()
            if self._body:
                super().on_body(self._body)
            if self._is_whole:
                super().on_message_complete()

        def _wait(self) -> None:
            self._timer = self.loop.call_later(request_seconds, self._refuse, 408, "Request Timeout")

        def _stop_waiting(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _refuse(self, status: int, words: str) -> None:
            self._is_refused = True
            if not self.transport.is_closing():
                self.transport.write(
                    f"HTTP/1.1 {status} {words}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".encode()
                )
                self.transport.close()

    return LimitedProtocol


class _Beginnings:
    """The lines with which all answers of a status begin, which change with the second: uvicorn's date is among them."""

    def __init__(self) -> None:
        self._standing: object = None
        self._lines: dict[int, bytes] = {}

    def of(self, status: int, standing: list[tuple[bytes, bytes]]) -> bytes:
        """`standing`: uvicorn's own headers, each second a new list."""
        if standing is not self._standing:
            self._standing, self._lines = standing, {}
        lines = self._lines.get(status)
        if lines is None:
            lines = self._lines[status] = STATUS_LINE[status] + lines_of((*standing, *ALWAYS))
        return lines
