"""An HTTP proxy in front of a tracking server, whose failures it can play."""

import contextlib
import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# A mode is one of: pass; refuse connections; hang, without an answer; answer 500; drop the
# connection when the server has carried out the request; drop that of each third request.
MODES = ("pass", "refuse", "hang", "500", "drop", "drop third")


class Proxy:
    """A proxy on a port of 127.0.0.1 that stays the same; `mode` says what becomes of requests.

    `concerns` chooses by method and path which requests fail; the others pass.
    """

    def __init__(self, server: int) -> None:
        self.server, self._mode = server, "pass"
        self.concerns: Callable[[str], bool] = lambda path: True  # noqa: ARG005
        self.requests = self.failures = 0
        self.released = threading.Event()  # ends requests that hang
        self._listener: ThreadingHTTPServer | None = None
        self.port = 0
        self._listen()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def mode(self) -> str:
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        assert mode in MODES, mode
        self._mode = mode
        if mode == "hang":
            self.released.clear()
        else:
            self.released.set()
        if mode == "refuse":
            self._refuse()
        elif self._listener is None:
            self._listen()

    def close(self) -> None:
        self.released.set()
        self._refuse()

    def _listen(self) -> None:
        listener = _Listener(("127.0.0.1", self.port), _Handler)
        listener.proxy = self
        self.port = listener.server_address[1]
        self._listener = listener
        threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True).start()

    def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.shutdown()
            self._listener.server_close()
            self._listener = None


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    proxy: Proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that are killed close their connections."""


class _Handler(BaseHTTPRequestHandler):
    server: _Listener
    protocol_version = "HTTP/1.0"  # a connection for each request

    def _pass_on(self) -> None:
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        mode = proxy.mode if proxy.concerns(self.path) else "pass"
        proxy.requests += 1
        proxy.failures += mode != "pass"
        if mode == "hang":
            proxy.released.wait()
            return
        if mode == "refuse":  # a connection from before
            return
        if mode == "500":
            self.send_error(500, "played by the proxy")
            return
        status, headers, content = self._ask(body)
        if mode == "drop" or (mode == "drop third" and proxy.requests % 3 == 0):
            return
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(content)

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        server = http.client.HTTPConnection("127.0.0.1", self.server.proxy.server, timeout=120)
        headers = {n: v for n, v in self.headers.items() if n.lower() not in ("host", "connection")}
        headers["Host"] = f"127.0.0.1:{self.server.proxy.server}"
        try:
            server.request(self.command, self.path, body or None, headers)
            answer = server.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            server.close()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _pass_on

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
