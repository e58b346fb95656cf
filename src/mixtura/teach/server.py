"""The page over HTTP, for this machine alone: bound to loopback, and deaf to pages of other origins.

A page from elsewhere cannot ask anything.  It may send a form here, but not as application/json without asking first,
which is never granted; and a foreign name that points to 127.0.0.1 comes with that name in Host.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from socketserver import TCPServer
from typing import Any, NoReturn
from urllib.parse import urlsplit

from mixtura.teach.answers import LANGUAGES, Refusal, answer, setup, words

HOST = "127.0.0.1"
MOST_BYTES = 4_000_000
"""Of a question: 2,000 points and a model of twelve components take a twentieth."""
MOST_DIGITS = 20
"""Of the length of a question."""
HTTP_PORT = 80
PATIENCE = 60
"""Seconds that a connection may say nothing."""

SCRIPTS = ("page", "state", "text", "asking", "steps", "plane", "tables", "hand", "lessons")

PAGES: dict[str, tuple[str, str]] = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    **{f"/{one}.js": (f"{one}.js", "text/javascript; charset=utf-8") for one in SCRIPTS},
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    **{f"/words.{one}.json": (f"words.{one}.json", "application/json; charset=utf-8") for one in LANGUAGES},
}
"""Addresses, files, and what these are."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Server(ThreadingHTTPServer):
    """Answers questions one after the other, in whatever thread they come; ``language`` is what the page begins in."""

    daemon_threads = True
    # On Windows it would let two programs have one port.
    allow_reuse_address = os.name != "nt"

    def __init__(self, port: int, language: str | None = None) -> None:
        self.language = language
        self.one_at_a_time = threading.Lock()
        try:
            super().__init__((HOST, port), Handler)
        except (OSError, OverflowError) as error:
            said = getattr(error, "strerror", None) or str(error)
            raise ValueError(f"cannot serve on port {port} ({said}): choose another with --port") from error

    def server_bind(self) -> None:
        """Bind, and ask no name server what this machine is called, which may take its time."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.server_port}/"

    @property
    def hosts(self) -> tuple[str, ...]:
        """What a browser on this machine calls this server."""
        names = (HOST, "localhost")
        # Browsers leave the port of HTTP out.
        return (*(f"{name}:{self.server_port}" for name in names), *(names if self.server_port == HTTP_PORT else ()))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that break off, as they do where a page is left; anything else is an error."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "mixtura", ""
    timeout = PATIENCE
    # Head and body are sent one after the other: the body would wait some 40 ms for word that the head has come.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if not self._welcome():
            return
        path = self._path
        if path == "/setup.json":
            self._send(HTTPStatus.OK, {**setup(), "language": self.server.language})
        elif path in PAGES:
            name, kind = PAGES[path]
            self._put(HTTPStatus.OK, (files("mixtura.teach") / name).read_bytes(), kind)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "address")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        # What is refused is not read, so nothing can come after it on this connection.
        self.close_connection = True
        if not self._welcome():
            return
        length = self.headers.get("Content-Length") or ""
        if self._path != "/ask":
            self._refuse(HTTPStatus.NOT_FOUND, "address")
        elif self.headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "type")
        elif not length.isdecimal():
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "length")
        # Thousands of digits would be no integer to Python either.
        elif len(length) > MOST_DIGITS or int(length) > MOST_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "size", most=MOST_BYTES)
        else:
            body = self.rfile.read(int(length))
            self.close_connection = self.headers.get("Connection", "").lower() == "close"
            self._answer(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no request that this server knows as anything else is refused."""
        self.close_connection = True
        self._refuse(HTTPStatus(code), "protocol")

    @property
    def _path(self) -> str:
        """What is asked for, without a query; empty if that is no address at all."""
        try:
            return urlsplit(self.path).path
        except ValueError:
            return ""

    def _answer(self, body: bytes) -> None:
        try:
            request = json.loads(body, parse_constant=_no_number)
        except (ValueError, RecursionError):
            self._refuse(HTTPStatus.BAD_REQUEST, "request")
            return
        try:
            with self.server.one_at_a_time:
                found = answer(request)
        except Refusal as refusal:
            self._refuse(HTTPStatus.BAD_REQUEST, refusal.code, **refusal.numbers)
        except Exception:
            # A mistake of ours: the page is told that there is one, and the terminal which.
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "ours")
            raise
        else:
            self._send(HTTPStatus.OK, found)

    def _welcome(self) -> bool:
        """Whether the request is from this machine's own page; if not it is refused."""
        origin = self.headers.get("Origin")
        own = [f"http://{host}" for host in self.server.hosts]
        hosts = self.headers.get_all("Host", [])
        if len(hosts) == 1 and hosts[0] in self.server.hosts and (origin is None or origin in own):
            return True
        self.close_connection = True
        self._refuse(HTTPStatus.FORBIDDEN, "host", host=self.server.hosts[0])
        return False

    def _refuse(self, status: HTTPStatus, code: str, **numbers: Any) -> None:
        sentence = words("en")[f"error.{code}"].format(**numbers)
        self._send(status, {"error": {"code": code, "numbers": numbers, "message": sentence}})

    def _send(self, status: HTTPStatus, document: dict[str, Any]) -> None:
        text = json.dumps(document, allow_nan=False)
        self._put(status, text.encode(), "application/json; charset=utf-8")

    def _put(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing: the terminal is for the address."""


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def serve(port: int, language: str | None, *, browse: bool) -> None:
    """Print the address, and serve until Ctrl-C or a signal to end.

    Parameters
    ----------
    port : int
        0 takes any that is free.
    language : {"en", "ja"} or None
        What the page begins in; None leaves that to the browser.
    browse : bool
        Whether to open the page in a browser.

    Raises
    ------
    ValueError
        If the port cannot be had.
    """
    try:
        with _ended_by_a_signal(), Server(port, language) as server:
            print(server.address, flush=True)
            if browse:  # it may take its time
                threading.Thread(target=partial(webbrowser.open, server.address), daemon=True).start()
            server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        return


@contextmanager
def _ended_by_a_signal() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does, and SIGINT even where a shell has started this in the background, deaf to it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
