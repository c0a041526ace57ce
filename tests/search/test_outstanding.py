"""A search with several batches in work asks for trials by a rule that knows no clock.

The rule is repeated here by plain Optuna: batch k is asked when all up to k - outstanding are told.
"""

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest

from harness.search.samplers import sampler_for
from harness.search.settings import Search
from harness.search.space import Parameter, space_of
from harness.search.trials import JOB, SWEEP, ask, give_up_nameless
from harness.sweeps.swept_values import parse_sweep
from harness.tracking.job_outcomes import jobs
from harness.tracking.journal import end_of
from tests.search.test_pruning import search
from tests.search.test_search import JOURNAL, SPACE, TINY, asked, states, study_in
from tests.search.test_stopped_search import RESUME
from tests.support import program
from tests.sweeps.test_workers import TWO, all_train

TRIALS, BATCH = 16, 2  # TPE asks from the eleventh on
# A job that waits does so where it is trained by a worker, until there is a file `go`.
TASK = """
import multiprocessing
import os
import time
from dataclasses import dataclass
from harness.tasks.sum import Sum


@dataclass(frozen=True)
class Waiting(Sum):
    waits: bool = False

    def draw(self, rng):
        while self.waits and multiprocessing.parent_process() and not os.path.exists("go"):
            time.sleep(0.01)
        return super().draw(rng)
"""
WAITS = "task.waits=false,true"
WORDS = [*TINY, "--config-dir", "conf", "task=waiting", SPACE, WAITS, "trainer.epochs=3", JOURNAL]
WORDS += [f"hydra.sweeper.trials={TRIALS}", f"hydra.sweeper.batch={BATCH}"]
OVERLAP = "hydra.sweeper.outstanding=2"


def with_task(folder: Path) -> Path:
    (folder / "conf/task").mkdir(parents=True)
    (folder / "waiting.py").write_text(TASK)
    option = "defaults: [sum, _self_]\n_target_: waiting.Waiting\nwaits: false\n"
    (folder / "conf/task/waiting.yaml").write_text(option)
    return folder


def space(*words: str) -> list[Parameter]:
    return space_of(parse_sweep(words).overrides)


class Replay:
    """Trials asked of a new study, as by a search."""

    def __init__(self, settings: Search, dimensions: Sequence[Parameter]) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.settings, self.dimensions = settings, dimensions
        self.study = optuna.create_study()

    def ask(self, numbers: range) -> list[dict[str, Any]]:
        for number in numbers:
            self.study.sampler = sampler_for(self.settings, self.dimensions, number)
            trial = self.study.ask()
            for dimension in self.dimensions:
                dimension.asked(trial)
        return [self.study.trials[number].params for number in numbers]

    def all(self, values: Sequence[float], outstanding: int) -> list[dict[str, Any]]:
        """The parameters of all trials, if their values are these."""
        asked: list[dict[str, Any]] = []
        for first in range(0, len(values), BATCH):
            told = first - outstanding * BATCH
            for number in range(max(told, 0), max(told + BATCH, 0)):
                self.study.tell(number, values[number])
            asked += self.ask(range(first, first + BATCH))
        return asked


def replayed(folder: Path, outstanding: int, seed: int) -> list[dict[str, Any]]:
    values = [trial.value or 0.0 for trial in study_in(folder).trials]
    settings = search("", "none", seed=seed)
    return Replay(settings, space(SPACE, WAITS)).all(values, outstanding)


def first_batch_waits(seed: int) -> bool:
    asked = Replay(search("", "none", seed=seed), space(SPACE, WAITS)).ask(range(2 * BATCH))
    return [trial["task.waits"] for trial in asked] == [True, False, False, False]


SEED = next(filter(first_batch_waits, range(1000)))


def processes(folder: Path) -> set[int]:
    """The processes that have trained jobs of the sweep."""
    begun = [program.events(folder / "sw" / job.folder, "start")[0] for job in jobs(folder / "sw")]
    return {start["process"]["pid"] for start in begun}


def have_ended(folder: Path, *numbers: int) -> bool:
    return all(end_of(folder / "sw" / str(number)) is not None for number in numbers)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The search with two batches in work, in one process."""
    folder = with_task(tmp_path_factory.mktemp("whole"))
    done = program.run(folder, *WORDS, OVERLAP, f"hydra.sweeper.seed={SEED}")
    assert done.code == 0, done.err
    return folder


def test_one_batch_at_a_time_is_asked_by_the_results_of_all_before(tmp_path: Path) -> None:
    folder = with_task(tmp_path)
    (folder / "go").touch()
    done = program.run(folder, *WORDS, TWO)
    assert done.code == 0, done.err
    assert asked(folder) == replayed(folder, 1, 0)
    assert asked(folder) != replayed(folder, 2, 0), "which batches are told makes a difference"
    assert len(processes(folder)) == 2, "the workers stay for all batches"


def test_the_second_batch_does_not_wait_and_the_third_one_does(whole: Path, tmp_path: Path) -> None:
    folder = with_task(tmp_path)
    with program.running(folder, *WORDS, OVERLAP, f"hydra.sweeper.seed={SEED}", TWO) as process:
        program.wait_until(lambda: have_ended(folder, 2, 3), process)
        assert not have_ended(folder, 0)
        assert states(study_in(folder)) == ["RUNNING"] * 4, "none is told before the first batch"
        (folder / "go").touch()
        done = program.finish(process)
    assert done.code == 0, done.err
    assert asked(folder) == asked(whole) == replayed(folder, 2, SEED)
    assert asked(folder) != replayed(folder, 1, SEED)
    assert states(study_in(folder)) == ["COMPLETE"] * TRIALS
    assert len(processes(folder)) == 2, "the workers stay for all batches"


def test_a_batch_that_has_ended_before_its_turn_is_told_in_its_turn(
    whole: Path, tmp_path: Path
) -> None:
    folder = with_task(tmp_path)
    with program.running(folder, *WORDS, OVERLAP, f"hydra.sweeper.seed={SEED}", TWO) as process:
        program.wait_until(lambda: have_ended(folder, 2, 3), process)
        process.kill()
        process.communicate()
    (folder / "go").touch()
    done = program.run(folder, *RESUME, TWO)
    assert done.code == 0, done.err
    assert "2 finished before" in done.err
    assert asked(folder) == asked(whole)
    assert states(study_in(folder)) == ["COMPLETE"] * TRIALS
    assert [job.number for job in jobs(folder / "sw")] == list(range(TRIALS))
    values = [[trial.value for trial in study_in(place).trials] for place in (folder, whole)]
    assert values[0] == pytest.approx(values[1], rel=1e-12)


def test_a_stop_closes_the_runs_of_all_batches(tmp_path: Path) -> None:
    words = [*TINY, SPACE, "trainer.epochs=600", "trainer.checkpoint_every=20", JOURNAL, OVERLAP]
    words += ["hydra.sweeper.trials=6", "hydra.sweeper.batch=2", TWO]
    with program.running(tmp_path, *words) as process:
        program.wait_until(lambda: all_train(tmp_path, 4, 20), process)
        process.send_signal(signal.SIGINT)
        done = program.finish(process)
    assert done.code == 130, done.err
    assert "Traceback" not in done.err
    statuses = {job.status for job in jobs(tmp_path / "sw")}
    assert "KILLED" in statuses
    assert statuses <= {"KILLED", "FINISHED"}
    assert "RUNNING" in states(study_in(tmp_path))
    done = program.run(tmp_path, *RESUME, TWO)
    assert done.code == 0, done.err
    assert [job.status for job in jobs(tmp_path / "sw")] == ["FINISHED"] * 6
    assert states(study_in(tmp_path)) == ["COMPLETE"] * 6


def test_workers_that_a_batch_leaves_idle_are_named(tmp_path: Path) -> None:
    words = [*TINY, SPACE, "hydra.sweeper.batch=1", "hydra.sweeper.trials=8", "sweep.dry_run=true"]
    done = program.run(tmp_path, *words, "hydra.launcher.workers=4")
    idle = "1 unit at once, 3 of 4 workers idle: hydra.sweeper.outstanding=4 fills them"
    assert idle in done.err
    done = program.run(tmp_path, *words, "hydra.launcher.workers=4", "hydra.sweeper.outstanding=4")
    assert "idle" not in done.err
    assert "4 of 8 jobs in 4 units, in 4 worker processes" in done.out


def test_a_trial_that_was_being_asked_is_asked_anew(tmp_path: Path) -> None:
    """A kill between two parameters leaves one that no job stands for."""
    dimensions = space(SPACE, "model.units=int(interval(2,6))")
    settings = search(f"{tmp_path}/study.log", "none", sampler="random")
    study = optuna.create_study()
    trial = study.ask()
    dimensions[0].asked(trial)
    trial.set_user_attr(JOB, 0)
    give_up_nameless(study)
    again = ask(study, settings, dimensions, "here", 0)
    assert again == ask(optuna.create_study(), settings, dimensions, "here", 0)
    assert states(study) == ["FAIL", "RUNNING"]
    assert study.trials[1].user_attrs == {JOB: 0, SWEEP: "here"}
    assert ask(study, settings, dimensions, "here", 0) == again, "it has begun"
    assert len(study.trials) == 2
