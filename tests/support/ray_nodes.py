"""A real Ray cluster whose nodes are all on this machine, closed to everybody else."""

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support import ROOT
from tests.support.program import PATIENCE

# Ray listens on all addresses, and takes anybody's tasks unless it is told to ask for a token.
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex()}


WAIT = """
import socket, sys, time
import ray

limit = time.monotonic() + 600
while True:
    try:
        socket.create_connection(sys.argv[1].split(":")).close()
        break
    except OSError:
        time.sleep(0.1)
    assert time.monotonic() < limit, "the head node has not begun"
ray.init(sys.argv[1], log_to_driver=False)
while len(ray.nodes()) < int(sys.argv[2]):
    time.sleep(0.1)
"""


def can_hide_folders() -> bool:
    """Whether this process may give a node a view of the files of its own."""
    return os.path.exists("/usr/bin/unshare") and not subprocess.call(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], stderr=subprocess.DEVNULL
    )


class Cluster:
    """A cluster that grows by `add`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.nodes: list[subprocess.Popen[bytes]] = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"

    def add(self, hides: Path | None = None) -> subprocess.Popen[bytes]:
        """Begin a node of one processor, which does not see what is in the folder `hides`."""
        port = self.address.rpartition(":")[2]
        is_first = not self.nodes
        head = ["--head", f"--port={port}", "--include-dashboard=false"]
        where = head if is_first else [f"--address={self.address}"]
        words = [sys.executable, "-m", "ray.scripts.scripts", "start", *where, "--num-cpus=1"]
        if hides is not None:
            shell = 'mount -t tmpfs none "$0" && exec "$@"'
            words = ["unshare", "--mount", "sh", "-c", shell, str(hides), *words]
        node = subprocess.Popen(
            [*words, "--block", "--disable-usage-stats"],
            cwd=self._folder,
            env=os.environ | TOKEN | {"PYTHONPATH": str(ROOT)},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.nodes.append(node)
        if is_first:
            self.wait_for_all()
        return node

    def wait_for_all(self) -> None:
        """Wait until every node that was added is part of the cluster."""
        subprocess.run(
            [sys.executable, "-c", WAIT, self.address, str(len(self.nodes))],
            env=os.environ | TOKEN,
            check=True,
            timeout=PATIENCE,
            capture_output=True,
        )

    def kill(self, node: subprocess.Popen[bytes]) -> None:
        """Kill all processes of a node at once."""
        with suppress(ProcessLookupError):
            os.killpg(node.pid, signal.SIGKILL)
        node.wait()


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster with its first node, which is ended with the block."""
    nodes = Cluster(folder)
    try:
        nodes.add()
        yield nodes
    finally:
        for node in reversed(nodes.nodes):
            nodes.kill(node)
