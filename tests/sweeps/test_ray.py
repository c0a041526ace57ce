"""A sweep on a real Ray cluster: the same numbers, and nothing lost when a node dies."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.tracking.job_outcomes import jobs
from tests.search.test_outstanding import processes
from tests.search.test_search import asked, states, study_in
from tests.support import ROOT, program
from tests.support.program import uses_mlflow
from tests.support.ray_nodes import TOKEN, can_hide_folders, cluster
from tests.sweeps.test_workers import PLACE, SMALL, all_train, check_went_on, in_use

pytestmark = uses_mlflow

RAY = "hydra/launcher=ray"


def test_nodes_may_die_and_need_not_share_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The curves are those of one process; the node that is killed has its own file system."""
    for name, value in TOKEN.items():
        monkeypatch.setenv(name, value)
    words = ["-m", *SMALL, "seed=range(6)", "trainer.checkpoint_every=20", PLACE]
    folder = program.with_database(tmp_path / "cluster")
    with cluster(tmp_path) as nodes:
        nodes.add()
        away = nodes.add(hides=folder if can_hide_folders() else None)
        more = [RAY, f"hydra.launcher.address={nodes.address}", "trainer.epochs=2000"]
        with program.running(folder, *words, *more) as process:
            program.wait_until(lambda: all_train(folder, 6), process)
            nodes.kill(away)
            done = program.finish(process)
    assert done.code == 0, done.err
    assert "was lost with its Ray node" in done.err
    whole = program.with_database(tmp_path / "whole")
    one = ["hydra.launcher.workers=1", "trainer.epochs=2000"]
    assert program.run(whole, *words, *one).code == 0
    check_went_on(folder, whole, again=2)


QUEUES = """
import sys

import ray

from harness.sweeps.engines.ray_cluster import _queue

ray.init(sys.argv[1], log_to_driver=False)
queues = [_queue() for _ in range(8)]
print(sum(queue.qsize() for queue in queues), flush=True)
input()
print(sum(queue.qsize() for queue in queues))
"""


def test_what_tasks_send_is_kept_on_the_machine_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in TOKEN.items():
        monkeypatch.setenv(name, value)
    with cluster(tmp_path) as nodes:
        other = nodes.add()
        with subprocess.Popen(
            [sys.executable, "-c", QUEUES, nodes.address],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "0\n"
            nodes.kill(other)
            assert process.communicate("\n", timeout=program.PATIENCE)[0] == "0\n"


# Something happens to the queue of what tasks send, when all jobs train.
CUT_OFF = """
from pathlib import Path

import wrapt

def fail(module, queue):
    FAILURE

def change(module):
    receive = module.RayCluster._receive

    def receive_or_fail(self):
        if len(list(Path().glob("sw/*/checkpoints/*"))) >= 2 and not Path("failed").exists():
            Path("failed").touch()
            fail(module, self._pieces)
        receive(self)

    module.RayCluster._receive = receive_or_fail

wrapt.register_post_import_hook(change, "harness.sweeps.engines.ray_cluster")
"""


@pytest.mark.parametrize(
    "failure",
    [
        "raise module.ray.exceptions.ActorUnavailableError('its socket was closed', None)",
        "module.ray.kill(queue.actor)",
    ],
    ids=["silent", "dead"],
)
def test_what_is_cut_off_is_carried_out_again(failure: str, tmp_path: Path) -> None:
    folder = program.with_database(tmp_path)
    (folder / "sitecustomize.py").write_text(CUT_OFF.replace("FAILURE", failure))
    words = ["-m", RAY, *SMALL, "seed=range(2)", "trainer.checkpoint_every=20", PLACE]
    process = program.start(folder, *words, "trainer.epochs=1000", path=(folder,))
    done = program.finish(process)
    assert done.code == 0, done.err
    assert (folder / "failed").exists()
    assert "was cut off from the sweep" in done.err
    assert [job.status for job in jobs(folder / "sw")] == ["FINISHED", "FINISHED"]
    statuses = [run.info.status for run in program.tracked(folder)]
    assert statuses.count("FINISHED") == 3


def test_a_failing_job_hides_no_other_and_a_stop_ends_all(tmp_path: Path) -> None:
    folder = program.with_database(tmp_path)
    words = ["-m", RAY, *SMALL, "optimizer=sgd", "optimizer.lr=0.001,1e30,0.002"]
    done = program.run(folder, *words, "trainer.epochs=3", "hydra.sweep.dir=first")
    assert done.code == 1, done.err
    assert [job.status for job in jobs(folder / "first")] == ["FINISHED", "FAILED", "FINISHED"]
    assert "lr=1e+30 failed: " in done.err, "what is logged on the nodes is told"
    with program.running(
        folder, *words[:-2], "seed=0,1", "trainer.epochs=1000000", PLACE
    ) as process:
        program.wait_until(lambda: all_train(folder, 2), process)
        process.send_signal(signal.SIGINT)
        done = program.finish(process)
    assert done.code == 130, done.err
    assert [job.status for job in jobs(folder / "sw")] == ["KILLED", "KILLED"]
    assert {run.info.status for run in program.tracked(folder)[-2:]} == {"KILLED"}
    assert not in_use(folder)


def test_a_search_keeps_its_connection_and_asks_as_in_one_process(tmp_path: Path) -> None:
    words = ["-m", "hydra/sweeper=optuna", *SMALL, "optimizer.lr=interval(0.001,0.1)", PLACE]
    words += ["hydra.sweeper.trials=8", "hydra.sweeper.batch=2", "hydra.sweeper.outstanding=2"]
    words += ["trainer.epochs=3", "tracking=journal"]
    for name, how in (("ray", RAY), ("one", "hydra.launcher.workers=1")):
        (tmp_path / name).mkdir()
        done = program.run(tmp_path / name, *words, how)
        assert done.code == 0, done.err
    assert states(study_in(tmp_path / "ray")) == ["COMPLETE"] * 8
    assert asked(tmp_path / "ray") == asked(tmp_path / "one")
    assert len(processes(tmp_path / "ray")) < 4, "Ray's processes stay for other batches"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("hydra.launcher.cpus=-1", "hydra.launcher.cpus=-1: must be a number of at least 0.001"),
        ("hydra.launcher.memory=1G", "hydra.launcher.memory=1G: must be a number of at least 1"),
        ("hydra.launcher.address=127.0.0.1:1", "no Ray cluster answers"),
        ("hydra.launcher.gpus=512", "no node of the cluster has CPU 1, GPU 512 for a unit"),
    ],
)
def test_what_ray_cannot_do_is_told_before_the_first_job(
    word: str, message: str, tmp_path: Path
) -> None:
    done = program.run(tmp_path, "-m", RAY, "seed=0,1", "tracking=journal", word)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert not list(tmp_path.glob("results/multirun/*/*"))
