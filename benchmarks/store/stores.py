"""The stores that are compared: an SQLite file, a server on SQLite, a server on PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.common import tracking_server as server

FILE, ON_SQLITE, ON_POSTGRESQL = "SQLite file", "server on SQLite", "server on PostgreSQL"
STORES = (FILE, ON_SQLITE, ON_POSTGRESQL)


@contextmanager
def opened(store: str, folder: Path) -> Iterator[str]:
    """Yield the URI of an empty store, which is there until the block ends."""
    if store == FILE:
        yield f"sqlite:///{folder}/mlflow.db"
        return
    port = server.free_port()
    command = server.on_postgresql(folder, port)
    if store == ON_SQLITE:
        artifacts = ("--artifacts-destination", str(folder / "artifacts"))
        command = server.on_store(f"sqlite:///{folder}/mlflow.db", port, *artifacts)
    with server.running(command, port, folder):
        yield f"http://127.0.0.1:{port}"
