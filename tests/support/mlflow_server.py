"""MLflow's own server over a store, and a door before it that asks for a name and a password."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlparse

from benchmarks.common.tracking_server import free_port, on_store, running


@contextmanager
def server(folder: Path, store: str) -> Iterator[str]:
    """The URL of MLflow's server of a store; no process of it survives. Its log is in `folder`."""
    port = free_port()
    with running(on_store(store, port), port, folder):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def guarded(url: str, valid: set[str]) -> Iterator[str]:
    """The URL of a server before that at `url`, which lets pass what has a valid authorization.

    `valid` has values of the header `Authorization`.
    """
    address = urlparse(url)

    class Guard(BaseHTTPRequestHandler):
        def handle_request(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Authorization") not in valid:
                self.answer(401, {"WWW-Authenticate": "Basic"}, b"who are you?")
                return
            assert address.hostname is not None
            connection = http.client.HTTPConnection(address.hostname, address.port)
            headers = {k: v for k, v in self.headers.items() if k != "Authorization"}
            connection.request(self.command, self.path, body, headers | {"Host": address.netloc})
            answer = connection.getresponse()
            kinds = {"Content-Type": answer.headers.get("Content-Type", "text/plain")}
            self.answer(answer.status, kinds, answer.read())
            connection.close()

        def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Print nothing."""

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_request

    with ThreadingHTTPServer(("127.0.0.1", 0), Guard) as guard:
        threading.Thread(target=guard.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{guard.server_port}"
        guard.shutdown()
