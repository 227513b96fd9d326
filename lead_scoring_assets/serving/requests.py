"""A request as the endpoints see it: its head read once, its body within limits."""

import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from itertools import count
from typing import Any, NamedTuple

from lead_scoring_assets.serving.refusals import Refused

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_BEARER = b"bearer "


class Head(NamedTuple):
    """`token`: the key that was sent. `length`: of the body, as announced."""

    request_id: str
    token: str | None
    host: bytes
    media_type: bytes
    length: bytes | None


class RequestIds:
    """Ids of this process's requests, where the caller has sent none."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(6)
        self._numbers = count(1)

    def next(self) -> str:
        return f"{self._prefix}-{next(self._numbers)}"


def head_of(scope: Scope, ids: RequestIds) -> Head:
    """The headers that matter, in one pass. A caller's X-Request-ID is taken over when it is one."""
    request_id = token = length = None
    host = media_type = b""
    for name, value in scope["headers"]:
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


async def body_of(head: Head, receive: Receive, most: int) -> bytes:
    """The body, of at most `most` bytes.

    Raises:
        Refused: 413 or 415; 400 when the connection ends before the body does.
    """
    if head.media_type != b"application/json":
        raise Refused(415, "media_type")
    if head.length is not None:
        if not head.length.isdigit():
            raise Refused(400, "length")
        if int(head.length) > most:
            raise Refused(413, "too_large")
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


async def respond(
    send: Send,
    status: int,
    body: bytes,
    request_id: str,
    more: tuple[tuple[bytes, bytes], ...] = (),
    media_type: bytes = b"application/json",
) -> None:
    """Send a whole answer."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", media_type),
                (b"content-length", b"%d" % len(body)),
                (b"x-request-id", request_id.encode()),
                (b"x-content-type-options", b"nosniff"),
                (b"cache-control", b"no-store"),
                *more,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
