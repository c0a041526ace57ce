"""A server that asks who one is: the environment's name and password reach it, and nothing else."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.tracking.mlflow_store import client
from tests.support import program
from tests.support.mlflow_server import guarded, server
from tests.support.program import uses_mlflow
from tests.support.store_contents import uri_in

pytestmark = uses_mlflow

PASSWORD, TOKEN = "s3cr3t-passw0rd", "t0k3n-0f-m1n3"
BASIC = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
TINY = ("task.samples=40", "trainer.epochs=2", "model.units=4")


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The URL of a server that asks for a password or a token, and the folder of its store."""
    folder = program.with_database(tmp_path_factory.mktemp("server"))
    with (
        server(folder, uri_in(folder)) as url,
        guarded(url, {f"Basic {BASIC}", f"Bearer {TOKEN}"}) as door,
    ):
        yield door, folder


def runs_in(folder: Path, experiment: str) -> list[Any]:
    mlflow = client(uri_in(folder))
    found = mlflow.get_experiment_by_name(experiment)
    return [] if found is None else list(mlflow.search_runs([found.experiment_id]))


@pytest.mark.parametrize("by", ["password", "token", "address"])
def test_credentials_of_the_environment_reach_the_server_and_no_file(
    guard: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    url, store = guard
    named = {"MLFLOW_TRACKING_URI": url, "MLFLOW_EXPERIMENT_NAME": f"by {by}"}
    named |= {
        "password": {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": PASSWORD},
        "token": {"MLFLOW_TRACKING_TOKEN": TOKEN},
        "address": {"MLFLOW_TRACKING_URI": url.replace("//", f"//me:{PASSWORD}@")},
    }[by]
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    done = program.run(tmp_path, *TINY)
    assert done.code == 0, done.err
    assert f"in {url} (from MLFLOW_TRACKING_URI)" in done.out
    [run] = runs_in(store, f"by {by}")
    assert run.info.status == "FINISHED"
    assert list(store.rglob(f"{run.info.run_id}/artifacts/journal.jsonl"))
    shown = [done.out, done.err, *map(str, run.data.tags.items()), *map(str, run.data.params)]
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    for secret in (PASSWORD, TOKEN, BASIC):
        assert not any(secret in text for text in shown)
        assert not any(secret.encode() in content for content in written)


def test_a_typed_password_is_refused_in_one_line(tmp_path: Path) -> None:
    done = program.run(tmp_path, f"tracking.uri=http://me:{PASSWORD}@127.0.0.1:5000", *TINY)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "tracking.uri=http://127.0.0.1:5000: was given with a password" in done.err
    assert PASSWORD not in done.out + done.err
    assert not list(tmp_path.iterdir())
