"""Real receivers on loopback: an HTTP server and an SMTP server that do as they are told and keep what they got."""

import contextlib
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal


@dataclass(frozen=True)
class Post:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class HttpReceiver:
    """Answers with `script`, one entry a request, then 200: a status, or (status, headers), or how to be silent."""

    port: int = 0
    script: list[int | tuple[int, dict[str, str]] | Literal["never", "trickle"]] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def http_receiver() -> Iterator[HttpReceiver]:
    receiver = HttpReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.posts.append(Post(self.path, dict(self.headers), body))
            answer = receiver.script.pop(0) if receiver.script else 200
            if answer == "never":
                receiver.closed.wait(30)
                return
            if answer == "trickle":
                with contextlib.suppress(OSError):
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                    while not receiver.closed.wait(0.05):
                        self.wfile.write(b"X-More: 1\r\n")
                return
            assert not isinstance(answer, str)
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            """Quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield receiver
        finally:
            receiver.closed.set()
            server.shutdown()


@dataclass
class SmtpReceiver:
    """Takes mail, or does not: `refuse` answers every recipient with 550, `silent` says nothing at all."""

    port: int = 0
    refuse: bool = False
    silent: bool = False
    mails: list[bytes] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)

    def parsed(self) -> list[EmailMessage]:
        return [message_from_bytes(mail, policy=policy.default) for mail in self.mails]


@contextlib.contextmanager
def smtp_receiver() -> Iterator[SmtpReceiver]:
    receiver = SmtpReceiver()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            if receiver.silent:
                receiver.closed.wait(30)
                return
            self.say("220 loopback")
            for line in self.rfile:
                word = line.strip().upper()
                if word.startswith((b"EHLO", b"HELO")):
                    self.say("250-loopback\r\n250 8BITMIME")
                elif word.startswith(b"RCPT"):
                    receiver.recipients.append(line.decode().strip()[9:-1])
                    self.say("550 nobody here" if receiver.refuse else "250 yes")
                elif word == b"DATA":
                    self.say("354 go on")
                    lines = []
                    while (line := self.rfile.readline()) not in (b".\r\n", b""):
                        lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
                    receiver.mails.append(b"".join(lines))
                    self.say("250 kept")
                elif word == b"QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 yes")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield receiver
        finally:
            receiver.closed.set()
            server.shutdown()


def wait_until(happened: threading.Event | Any, patience_seconds: float = 60) -> None:
    """Until a callable is true; a busy machine is given time."""
    until = time.monotonic() + patience_seconds
    while not happened():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.02)
