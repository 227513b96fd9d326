"""HTTP as uvicorn speaks it, and limits to how slowly a request may arrive and how large its head may be."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 65_536


def protocol(request_seconds: float) -> type[HttpToolsProtocol]:
    """uvicorn's protocol, by which all of a request has to arrive within so many seconds: nobody holds a connection."""

    class LimitedProtocol(HttpToolsProtocol):
        _timer: asyncio.TimerHandle | None = None
        _has_head = False
        _is_whole = False
        _is_refused = False
        _waiting_bytes = 0
        _is_large = False

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._is_refused:
                return
            self._is_large = self._waiting_bytes + len(data) > HEAD_BYTES
            super().data_received(data)
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
            self._has_head = self._is_whole = False
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._has_head = True
            # Only what may be too large is counted: nearly every request comes in one small part.
            if self._is_large and sum(len(name) + len(value) for name, value in self.headers) > HEAD_BYTES:
                self._refuse(431, "Request Header Fields Too Large")
            else:
                super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            if not self._is_refused:
                super().on_body(body)

        def on_message_complete(self) -> None:
            self._is_whole = True
            if not self._is_refused:
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
