"""MLflow's server on SQLite or on PostgreSQL, started for a measurement or a test.

The one on PostgreSQL is started as a user would start it, by `docs/server/start.sh`.
"""

import http.client
import importlib.util
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

from benchmarks.common.processes import ROOT

SCRIPT = ROOT / "docs" / "server" / "start.sh"
PATIENCE = 1200.0  # seconds: many times what a busy machine takes
GRACE = 30.0  # seconds in which a server is to end by itself
LOG = "server.log"
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def postgresql_missing() -> str | None:
    """Return why no server on PostgreSQL can be started here, or None."""
    if which("initdb") is None and not any(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        return "there is no PostgreSQL here (Debian: apt-get install postgresql)"
    if importlib.util.find_spec("psycopg2") is None:
        return "psycopg2 is not installed (pip install psycopg2-binary)"
    if os.getuid() == 0 and "postgres" not in {user.pw_name for user in pwd.getpwall()}:
        return "PostgreSQL refuses to be run by root, and there is no user postgres"
    return None


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def on_store(uri: str, port: int, *words: str) -> list[str]:
    """Return the command of a server on a store, such as `sqlite:////tmp/mlflow.db`."""
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1"]
    return [*command, "--port", str(port), "--backend-store-uri", uri, *words]


def on_postgresql(folder: Path, port: int) -> list[str]:
    """Return the command of a server on a PostgreSQL of its own, which keeps all in a folder."""
    return [str(SCRIPT), str(folder), str(port)]


@contextmanager
def open_folder() -> Iterator[Path]:
    """Yield a new folder that other users may enter, as PostgreSQL's does where root starts it."""
    with TemporaryDirectory(prefix="server-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@contextmanager
def running(command: list[str], port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; no process of it survives.

    It answers when the block begins. Its log is in `folder`. Raises `ChildProcessError` with its
    log where it does not answer.
    """
    process = start(command, folder)
    try:
        wait_for(process, port, folder)
        yield process
    finally:
        end(process)


def start(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """Start a server, which may not answer yet."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with (folder / LOG).open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | QUIET | {"PATH": path, "TMPDIR": str(folder)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # the server and its workers are one group
        )


def wait_for(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    """Return as soon as a server answers. Raises `ChildProcessError` if it does not."""
    limit = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < limit:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        with closing(connection), suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.1)
    raise ChildProcessError(f"MLflow's server does not answer:\n{(folder / LOG).read_text()}")


def end(process: subprocess.Popen[bytes]) -> None:
    """Let a server end, and kill what is left of it."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=GRACE)
    kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a server, its workers and, where it has one, its PostgreSQL."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
