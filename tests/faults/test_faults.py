"""A short form of `python -m tests.faults`: a try of some of its faults, with tiny runs."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from safetensors.numpy import load_file, save_file

from tests.faults.all_faults import FAULTS
from tests.faults.compare import JOURNAL, Curve, compare, curve_difference
from tests.faults.fault import Fault, try_fault
from tests.faults.sweep_results import (
    FINAL_WEIGHTS,
    differences,
    results_of,
    tracking_problems,
)
from tests.faults.trial import EPOCHS, LIMIT, Trial, epochs
from tests.support.program import uses_mlflow

pytestmark = [*uses_mlflow, pytest.mark.slow]


@pytest.mark.parametrize("fault", [f for f in FAULTS if f.is_short], ids=lambda fault: fault.name)
def test_nothing_is_lost(fault: Fault) -> None:
    outcome = try_fault(fault, tries=1, seed=0, short=True)
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert outcome.problems == []
    assert outcome.lost == 0
    assert outcome.expected == outcome.found == outcome.equal


def test_what_mlflow_lacks_or_has_too_much_shows(tmp_path: Path) -> None:
    trial = Trial(tmp_path / "trial", random.Random(0), short=True)
    trial.finish(trial.train(epochs(EPOCHS)), 0)
    trial.settle()
    assert trial.problems == []
    [journal] = trial.found()
    client, results = MlflowClient(tracking_uri=trial.uri()), trial.folder / "results"
    [run] = client.search_runs(["1"])
    client.log_metric(run.info.run_id, "train/loss", 1.0, step=1)
    with (journal.directory / JOURNAL).open("a") as file:
        file.write(json.dumps({"kind": "metrics", "step": 7, "values": {"val/loss": [0.5]}}) + "\n")
    problems = "\n".join(compare(results, trial.uri()).problems)
    assert "train/loss: MLflow lacks 0 and has 1 too many" in problems
    assert "val/loss: MLflow lacks 1 and has 0 too many" in problems
    assert "journal.jsonl is not the same in MLflow" in problems
    client.create_run("1", tags={"journal.id": journal.id})
    client.create_run("1", run_name="a stranger")
    found = compare(results, trial.uri())
    assert "2 runs of MLflow" in "\n".join(found.problems)
    assert "runs without a journal: a stranger" in "\n".join(found.problems)
    assert (found.expected, found.found, found.equal) == (1, 1, 0)


def test_a_curve_that_differs_in_the_last_bit_shows() -> None:
    whole: Curve = [(1, {"loss": [0.1]}, "a"), (2, {"loss": [0.3]}, "b")]
    assert curve_difference(whole, whole[:1], is_whole=False) is None
    assert curve_difference(whole, whole[:1], is_whole=True) == "1 epochs instead of 2"
    other: Curve = [whole[0], (2, {"loss": [0.1 + 0.2]}, "b")]
    assert "epoch 2 differs" in str(curve_difference(whole, other, is_whole=True))
    without: Curve = [(step, values, None) for step, values, _ in whole]
    assert curve_difference(whole, without, is_whole=True) is None


def test_what_a_sweep_lost_when_it_was_stopped_shows(tmp_path: Path) -> None:
    trial = Trial(tmp_path / "trial", random.Random(0), short=True)
    words = ("-m", epochs(40), "seed=0,1", "hydra.sweep.dir=sw", "trainer.keep_checkpoints=null")
    trial.finish(trial.train(*words, wait=LIMIT), 0)
    assert trial.problems == []
    sweep = trial.folder / "sw"
    whole = results_of(sweep)
    assert differences(whole, results_of(sweep)) == []
    client = MlflowClient(tracking_uri=trial.uri())
    assert tracking_problems(client.search_runs(["1"]), ["seed=0", "seed=1"]) == []
    path = sweep / "0" / FINAL_WEIGHTS
    save_file({name: np.nextafter(a, 9.0) for name, a in load_file(path).items()}, path)
    (sweep / "0/checkpoints/epoch-00020.safetensors").unlink()
    (sweep / "0/plots/loss.png").unlink()
    (sweep / "1/predictions.csv").write_text("")
    journal = (sweep / "1" / JOURNAL).read_text()
    (sweep / "1" / JOURNAL).write_text(journal.replace("FINISHED", "KILLED"))
    found = "\n".join(differences(whole, results_of(sweep)))
    assert "job 0: weights/final.safetensors differs" in found
    assert "job 0: checkpoints/epoch-00020.safetensors is missing or differs" in found
    assert "job 0: only one has the files ['plots/loss.png']" in found
    assert "job 1: predictions.csv differs" in found
    assert "job 1: ends ['KILLED']" in found
    client.set_terminated(client.create_run("1", run_name="seed=1").info.run_id)
    found = "\n".join(tracking_problems(client.search_runs(["1"]), ["seed=0", "seed=1"]))
    assert "'seed=1': 2" in found
    assert "MLflow, parents: " in found
