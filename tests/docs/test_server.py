"""The ways to start a server that docs/scale.md gives: the script, for real, and the containers.

No test starts the containers, which needs docker and its registry. What they run is compared with
what the script runs.
"""

import os
import re
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from benchmarks.common import tracking_server
from benchmarks.common.tracking_server import SCRIPT, free_port, on_postgresql, open_folder
from tests.support import ROOT
from tests.support.program import PATIENCE

COMPOSE = ROOT / "docs/server/compose.yaml"
SECRET = "${POSTGRES_PASSWORD"

missing = tracking_server.postgresql_missing()
needs_postgresql = pytest.mark.skipif(missing is not None, reason=str(missing))


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


def processes_of(folder: Path) -> list[psutil.Process]:
    """The processes that were started with the folder in their words or their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            continue
        found += [process] if any(str(folder) in word for word in words) else []
    return found


@needs_postgresql
@pytest.mark.slow
def test_the_script_starts_both_and_ends_both(folder: Path) -> None:
    port = free_port()
    process = tracking_server.start(on_postgresql(folder, port), folder)
    try:
        tracking_server.wait_for(process, port, folder)
        both = {each.name() for each in processes_of(folder)}
        assert "postgres" in both
        listening = [c.laddr.ip for p in processes_of(folder) for c in p.net_connections("tcp")]
        assert set(listening) == {"127.0.0.1"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 128 + signal.SIGTERM
        assert processes_of(folder) == []
        assert sorted(path.name for path in folder.iterdir()) == ["postgresql", "server.log"]
    finally:
        tracking_server.kill(process)


@needs_postgresql
@pytest.mark.slow
def test_a_server_that_cannot_start_ends_its_database(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = tracking_server.start(on_postgresql(folder, taken.getsockname()[1]), folder)
        try:
            assert process.wait(PATIENCE) == 1
        finally:
            tracking_server.kill(process)
    assert "address already in use" in (folder / "server.log").read_text()
    assert processes_of(folder) == []


def refused(*words: str, path: str = os.environ["PATH"]) -> str:
    """What the script says on standard error when it refuses."""
    done = subprocess.run(
        [SCRIPT, *words], env=os.environ | {"PATH": path}, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert done.stdout == ""
    return done.stderr


def test_the_script_refuses_what_it_cannot_do(folder: Path) -> None:
    assert "name a folder: docs/server/start.sh FOLDER [PORT]" in refused()
    for tool in ("bash", "env", "realpath", "find", "sort", "tail"):
        (folder / tool).symlink_to(f"/usr/bin/{tool}")
    said = refused(str(folder / "store"), path=str(folder))
    assert re.search(r"(initdb|mlflow) is missing: apt-get install postgresql; pip install", said)
    assert not (folder / "store").exists()


@pytest.fixture
def services() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())["services"]


def options(command: str) -> dict[str, str]:
    words = shlex.split(command)
    assert words[:2] == ["mlflow", "server"]
    return dict(zip(words[2::2], words[3::2], strict=True))


def test_the_container_runs_what_the_script_runs(services: dict[str, Any]) -> None:
    script = SCRIPT.read_text().replace("\\\n", " ")
    [line] = re.findall(r"^mlflow server .*(?= &$)", script, re.M)
    ours, theirs = options(line), options(services["mlflow"]["command"])
    assert ours.keys() == theirs.keys()
    assert ours["--workers"] == theirs["--workers"] == "1"
    exported = set(re.findall(r"\b([A-Z_]+)=", "\n".join(re.findall(r"^export .*", script, re.M))))
    assert exported | {"PYTHONPATH", "PGPASSWORD"} == services["mlflow"]["environment"].keys()
    uri = services["mlflow"]["environment"]["MLFLOW_BACKEND_STORE_URI"]
    assert uri.startswith("postgresql+psycopg2://mlflow@postgresql/")
    assert '"postgresql+psycopg2://mlflow@/' in script


def test_the_containers_keep_secrets_out_and_ports_in(services: dict[str, Any]) -> None:
    assert services["mlflow"]["ports"] == ["127.0.0.1:5000:5000"]
    assert "ports" not in services["postgresql"]
    passwords = [
        value
        for service in services.values()
        for name, value in service["environment"].items()
        if "PASSWORD" in name
    ]
    assert len(passwords) == 2
    assert all(value.startswith(SECRET) for value in passwords)
    assert (COMPOSE.parent / "python/sitecustomize.py").exists()


def test_the_container_has_the_tested_versions(services: dict[str, Any]) -> None:
    pinned = (ROOT / "constraints.txt").read_text().splitlines()
    installed = re.findall(r"\S+==\S+", services["mlflow"]["build"]["dockerfile_inline"])
    assert len(installed) == 2
    assert set(installed) <= set(pinned)
