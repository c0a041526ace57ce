"""A real Ray cluster whose nodes are all on this machine, closed to everybody else."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.common.tracking_server import free_port
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
    """A cluster that grows by `add`, which returns once a node has joined."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.nodes: list[subprocess.Popen[bytes]] = []
        self.address = ""

    def add(self, hides: Path | None = None) -> subprocess.Popen[bytes]:
        """Begin a node of one processor, which does not see what is in the folder `hides`.

        Nodes of one machine may choose the same port, and then one of them ends. Each try of the
        first one has another port, since another process may have taken it.
        """
        limit = time.monotonic() + PATIENCE
        while time.monotonic() < limit:
            node = self._begin(hides)
            with subprocess.Popen(
                [sys.executable, "-c", WAIT, self.address, str(len(self.nodes) + 1)],
                env=os.environ | TOKEN,
                stderr=subprocess.DEVNULL,
            ) as wait:
                while wait.poll() is None and node.poll() is None:
                    time.sleep(0.1)
                wait.kill()
            if wait.returncode == 0:
                self.nodes.append(node)
                return node
            self.kill(node)
        raise AssertionError("no node joins the cluster")

    def _begin(self, hides: Path | None) -> subprocess.Popen[bytes]:
        if self.nodes:
            where = [f"--address={self.address}"]
        else:
            port = free_port()
            self.address = f"127.0.0.1:{port}"
            where = ["--head", f"--port={port}", "--include-dashboard=false"]
        words = [sys.executable, "-m", "ray.scripts.scripts", "start", *where, "--num-cpus=1"]
        if hides is not None:
            shell = 'mount -t tmpfs none "$0" && exec "$@"'
            words = ["unshare", "--mount", "sh", "-c", shell, str(hides), *words]
        return subprocess.Popen(
            [*words, "--block", "--disable-usage-stats"],
            cwd=self._folder,
            env=os.environ | TOKEN | {"PYTHONPATH": str(ROOT)},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
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
