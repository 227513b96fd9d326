"""A request as the endpoints see it: its head read once, its body within limits; and a whole answer."""

import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from itertools import count
from typing import Any, NamedTuple

from lead_scoring_assets.serving.refusals import Refused

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_BEARER = b"bearer "
ALWAYS = (
    (b"content-type", b"application/json"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
)
"""Headers of every answer."""
_OWN = b"content-length: %d\r\nx-request-id: %b\r\n%b\r\n%b"


class Head(NamedTuple):
    """`token`: the key that was sent. `length`: of the body, as announced."""

    request_id: str
    token: str | None
    host: bytes
    media_type: bytes
    length: bytes | None


class Whole(NamedTuple):
    """A POST request that has arrived. `started`: when, on `time.perf_counter_ns`."""

    address: bytes
    headers: Headers
    body: bytes
    started: int


class Answered(NamedTuple):
    """`body`: JSON. `more`: headers beside those that every answer has."""

    status: int
    body: bytes
    request_id: str
    more: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        own = ((b"content-length", b"%d" % len(self.body)), (b"x-request-id", self.request_id.encode()))
        return [*ALWAYS, *own, *self.more]

    def after(self, status_line_and_headers: bytes) -> bytes:
        """The same as HTTP/1.1 has it, after lines that do not differ between answers: its own headers, and the body."""
        more = lines_of(self.more) if self.more else b""
        return status_line_and_headers + _OWN % (len(self.body), self.request_id.encode(), more, self.body)


def lines_of(headers: Headers) -> bytes:
    """Headers as HTTP/1.1 has them."""
    return b"".join(b"%b: %b\r\n" % header for header in headers)


class RequestIds:
    """Ids of this process's requests, where the caller has sent none."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(6)
        self._numbers = count(1)

    def next(self) -> str:
        return f"{self._prefix}-{next(self._numbers)}"


def head_of(headers: Headers, ids: RequestIds) -> Head:
    """The headers that matter, in one pass. A caller's X-Request-ID is taken over when it is one."""
    request_id = token = length = None
    host = media_type = b""
    for name, value in headers:
        if name == b"host":
            host = value.lower()
        elif name == b"content-type":
            media_type = value.partition(b";")[0].strip().lower()
        elif name == b"content-length":
            length = value
        elif name == b"authorization":
            if value[:7].lower() == _BEARER:
                token = value[7:].strip().decode("latin-1")
        elif name == b"x-api-key":
            token = value.decode("latin-1")
        elif name == b"x-request-id" and _ID.fullmatch(value):
            request_id = value.decode()
    return Head(request_id or ids.next(), token, host, media_type, length)


def refuse_by_head(head: Head, most: int) -> None:
    """What need not be read.

    Raises:
        Refused: 415, 400 or 413, it is no JSON, or says that it has more than `most` bytes.
    """
    if head.media_type != b"application/json":
        raise Refused(415, "media_type")
    if head.length is not None:
        if not head.length.isdigit():
            raise Refused(400, "length")
        if int(head.length) > most:
            raise Refused(413, "too_large")


async def body_of(receive: Receive, most: int) -> bytes:
    """The body, of at most `most` bytes.

    Raises:
        Refused: 413; 400 when the connection ends before the body does.
    """
    parts: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Refused(400, "disconnected")
        part: bytes = message.get("body", b"")
        length += len(part)
        if length > most:
            raise Refused(413, "too_large")
        parts.append(part)
        if not message.get("more_body", False):
            return part if len(parts) == 1 else b"".join(parts)


async def respond(send: Send, answered: Answered) -> None:
    """Send a whole answer."""
    await send({"type": "http.response.start", "status": answered.status, "headers": answered.headers})
    await send({"type": "http.response.body", "body": answered.body})
