"""A search by the real program: its trials are runs, pruned ones are not failed ones."""

from pathlib import Path

import numpy as np
from optuna import Study

from harness.core.file_names import FINAL_WEIGHTS
from harness.search.study import open_study
from harness.tracking.job_outcomes import jobs
from harness.tracking.journal import end_of
from tests.search.test_pruning import search
from tests.support import program
from tests.support.command_lines import run_all
from tests.support.program import uses_mlflow

pytestmark = uses_mlflow

ONE = "hydra.launcher.workers=1"
SPACE = "optimizer.lr=tag(log,interval(1e-4,1e-1))"
TINY = ["-m", "hydra/sweeper=optuna", "hydra.sweep.dir=sw", "task.samples=40", "model.units=4"]
TINY += ["precision=float64", "trainer.epochs=16", ONE]
JOURNAL = "tracking=journal"
HERE = "hydra.run.dir=here"


def study_in(folder: Path, *, storage: str = "", name: str = "sw") -> Study:
    return open_study(search(storage or str(folder / "sw/study.log"), "none", study=name))


def states(study: Study) -> list[str]:
    return [trial.state.name for trial in study.trials]


def asked(folder: Path) -> list[dict[str, object]]:
    return [trial.params for trial in study_in(folder).trials]


def test_the_same_seed_asks_for_the_same_trials(tmp_path: Path) -> None:
    words = [*TINY, SPACE, "model.units=int(interval(2,6))", JOURNAL]
    words += ["hydra.sweeper.trials=14", "hydra.sweeper.batch=7", "trainer.epochs=1"]
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        (tmp_path / name).mkdir()
        done = program.run(tmp_path / name, *words, f"hydra.sweeper.seed={seed}")
        assert done.code == 0, done.err
    one, two, three = (asked(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert not {str(params) for params in one} & {str(params) for params in three}
    assert len({str(params) for params in one}) == 14
    for job, params in zip(jobs(tmp_path / "one/sw"), one, strict=True):
        assert f"optimizer.lr={params['optimizer.lr']}" in job.command


def test_pruned_trials_leave_and_the_others_are_what_they_are_alone(tmp_path: Path) -> None:
    folder = program.with_database(tmp_path)
    words = [*TINY, SPACE, "hydra.sweeper.trials=8", "hydra.sweeper.pruner=asha", "replicas=2"]
    done = program.run(folder, *words)
    assert done.code == 0, done.err
    assert "8 jobs together" in done.err
    found = jobs(folder / "sw")
    study = study_in(folder)
    assert [job.status for job in found].count("PRUNED") == 7
    assert "1 trial finished, 7 pruned" in done.out
    for job, trial in zip(found, study.trials, strict=True):
        assert trial.state.name == {"PRUNED": "PRUNED", "FINISHED": "COMPLETE"}[job.status]
        place = folder / "sw" / job.folder
        curve = program.journalled(place, "val/loss")
        [begun] = program.events(place, "start")
        end = end_of(place)
        assert end is not None
        if job.status == "PRUNED":
            assert (end["status"], end["pruned"]) == ("KILLED", True)
            assert len(curve) in (1, 4)
            assert not (place / FINAL_WEIGHTS).exists()
            assert (place / f"checkpoints/epoch-{len(curve):05d}.safetensors").exists()
        else:
            assert len(curve) == 16
            assert trial.value == np.mean(curve[-1][1])
        assert begun["tags"]["trial.number"] == str(trial.number)
    alone = [job.command.removeprefix("python -m harness ").split() for job in found]
    ran = run_all([(folder / f"alone/{i}", [*w, JOURNAL, HERE]) for i, w in enumerate(alone)])
    assert [done.code for done in ran] == [0] * 8
    for job in found:
        ways = (folder / "sw" / job.folder, folder / f"alone/{job.number}/here")
        shared, own = (program.journalled(way, "val/loss") for way in ways)
        values = [[numbers for _, numbers in curve] for curve in (shared, own[: len(shared)])]
        np.testing.assert_allclose(*values, rtol=1e-12, atol=0)
    parent, *children = program.tracked(folder)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["jobs/pruned"] == 7
    assert parent.data.metrics["jobs/failed"] == 0
    assert "report/search.png" in program.artifacts(folder, parent.info.run_id)
    marked = [run for run in children if run.data.tags.get("trial.state") == "pruned"]
    assert len(marked) == 7
    # A pruned run is not one that has been trained already, and can be trained to its end.
    pruned = next(job for job in found if job.status == "PRUNED")
    resumed = program.run(folder, f"resume=sw/{pruned.folder}", JOURNAL)
    assert resumed.code == 0, resumed.err


def test_a_pruned_run_is_no_finished_one(tmp_path: Path) -> None:
    words = [*TINY, SPACE, "hydra.sweeper.trials=4", "hydra.sweeper.pruner=asha", JOURNAL]
    place = "hydra.sweep.dir=results/multirun/one"
    assert program.run(tmp_path, *words, place).code == 0
    statuses = [job.status for job in jobs(tmp_path / "results/multirun/one")]
    assert sorted(statuses) == ["FINISHED", *["PRUNED"] * 3]
    done = program.run(tmp_path, *words, "sweep.skip=finished")
    assert "4 jobs (1 finished before)" in done.err


def test_a_failing_trial_does_not_end_the_search(tmp_path: Path) -> None:
    words = [*TINY, "optimizer=sgd", "optimizer.lr=choice(0.001,1e200)", JOURNAL]
    done = program.run(tmp_path, *words, "hydra.sweeper.sampler=random", "hydra.sweeper.trials=6")
    assert done.code == 1
    assert "Traceback" not in done.err
    study = study_in(tmp_path)
    for trial in study.trials:
        failed = trial.params["optimizer.lr"] > 1
        assert trial.state.name == ("FAIL" if failed else "COMPLETE")
        assert ("not finite" in trial.user_attrs.get("error", "")) is failed
    assert set(states(study)) == {"FAIL", "COMPLETE"}
    [best] = [line for line in done.out.splitlines() if "train it" in line]
    assert "optimizer.lr=0.001" in best


def test_two_objectives_have_a_pareto_front(tmp_path: Path) -> None:
    words = [*TINY, SPACE, "model.units=range(2,7)", "hydra.sweeper.trials=8", JOURNAL]
    done = program.run(tmp_path, *words, "hydra.sweeper.objectives=[val/loss,params/total]")
    assert done.code == 0, done.err
    assert "Pareto front of" in done.out
    study = open_study(
        search(
            f"{tmp_path}/sw/study.log", "none", study="sw", objectives=["val/loss", "params/total"]
        )
    )
    for trial in study.trials:
        units = trial.params["model.units"]
        assert trial.values[1] == units * units + 2 * units + units + 1
    for trial in study.best_trials:
        assert trial.user_attrs["command"] in done.out
    assert (tmp_path / "sw/report/search.png").exists()


def test_a_grid_has_every_point_once(tmp_path: Path) -> None:
    words = [*TINY, "model.units=range(2,5)", "optimizer.lr=0.1,0.01", JOURNAL]
    done = program.run(tmp_path, *words, "hydra.sweeper.sampler=grid", "trainer.epochs=1")
    assert done.code == 0, done.err
    points = {(params["model.units"], params["optimizer.lr"]) for params in asked(tmp_path)}
    assert points == {(units, lr) for units in (2, 3, 4) for lr in (0.1, 0.01)}
    assert states(study_in(tmp_path)) == ["COMPLETE"] * 6


def test_replicas_prune_in_pairs(tmp_path: Path) -> None:
    words = [*TINY, SPACE, "hydra.sweeper.trials=4", "hydra.sweeper.batch=1", "replicas=6", JOURNAL]
    done = program.run(tmp_path, *words, "hydra.sweeper.pruner=wilcoxon")
    assert done.code == 0, done.err
    study = study_in(tmp_path)
    assert states(study)[0] == "COMPLETE"
    pruned = [trial for trial in study.trials if trial.state.name == "PRUNED"]
    assert pruned
    for trial in pruned:
        assert trial.last_step in (2, 4, 8)
        assert len(trial.user_attrs[f"replicas at epoch {trial.last_step}"]) == 6


def test_workers_report_to_the_same_study(tmp_path: Path) -> None:
    words = [*TINY, SPACE, "hydra.sweeper.trials=8", "hydra.sweeper.pruner=asha", JOURNAL]
    done = program.run(tmp_path, *words, "hydra.launcher.workers=2")
    assert done.code == 0, done.err
    assert set(states(study_in(tmp_path))) == {"COMPLETE", "PRUNED"}
    tested = [len(trial.intermediate_values) for trial in study_in(tmp_path).trials]
    assert max(tested) == 15, "all epochs but the last"


def test_a_launcher_that_takes_no_more_jobs_gets_batch_after_batch(tmp_path: Path) -> None:
    words = [*TINY[:-1], SPACE, "hydra.sweeper.trials=3", "hydra.sweeper.batch=2", JOURNAL]
    for name, how in (("basic", "hydra/launcher=basic"), ("chdir", "hydra.job.chdir=true")):
        (tmp_path / name).mkdir()
        done = program.run(tmp_path / name, *words, "trainer.epochs=1", how)
        assert done.code == 0, done.err
        assert states(study_in(tmp_path / name)) == ["COMPLETE"] * 3
        assert "trials 2 to 2 of 3" in done.err
    assert asked(tmp_path / "basic") == asked(tmp_path / "chdir")
