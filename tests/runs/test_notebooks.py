"""The presets of the notebooks, `experiment=notebook_…`, run as one sweep.

Decides that each has the notebook's number of parameters, reaches the loss that it printed, and
keeps what it showed: its probe, its accuracy, its outputs at every time step, its gradient.
"""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.support import program
from tests.support.program import uses_mlflow
from tests.support.run_folder import final, predictions, table

pytestmark = uses_mlflow

# Parameters; then what the last training loss must lie between, loosely around what was printed.
NOTEBOOKS: dict[str, tuple[int, tuple[float, float] | None]] = {
    "ramp": (1121, (0.0, 30.0)),
    "sum": (1121, (0.0, 2.0)),
    "noise": (1121, (0.07, 0.10)),
    "binary": (1121, (0.6, 0.72)),
    "multi_step": (2702, (0.0, 400.0)),
    "forward": (32, None),
    "sgd_step": (6208, (1.0, 3.0)),
}


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Path]]:
    """The folder, and the directory of every notebook's run."""
    folder = program.with_database(tmp_path_factory.mktemp("notebooks"))
    names = ",".join(f"notebook_{name}" for name in NOTEBOOKS)
    done = program.run(folder, "-m", f"experiment={names}")
    assert done.code == 0, done.err
    return folder, dict(zip(NOTEBOOKS, program.directories(folder), strict=True))


Notebooks = tuple[Path, dict[str, Path]]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_reaches_the_loss_that_it_printed(notebooks: Notebooks, name: str) -> None:
    directory = notebooks[1][name]
    parameters, between = NOTEBOOKS[name]
    assert table(directory / "parameters.csv")["count"].iloc[-1] == parameters
    if between is not None:
        assert between[0] < final(directory) < between[1]


def test_the_notebooks_are_one_sweep_over_several_experiments(notebooks: Notebooks) -> None:
    parent, *children = program.tracked(notebooks[0])
    assert parent.info.status == "FINISHED"
    assert [c.info.run_name for c in children] == [f"notebook_{name}" for name in NOTEBOOKS]
    assert {c.data.tags["mlflow.parentRunId"] for c in children} == {parent.info.run_id}
    reader = program.mlflow(notebooks[0])
    assert reader.get_experiment(parent.info.experiment_id).name == "sweeps"
    places = [reader.get_experiment(c.info.experiment_id).name for c in children]
    assert places == [c.data.params["task.name"] for c in children]


def test_notebook_ramp_goes_on_counting(notebooks: Notebooks) -> None:
    probe = predictions(notebooks[1]["ramp"], "probe")
    assert probe["true"].tolist() == list(range(105, 115))
    assert probe["predicted"].to_numpy() == pytest.approx(probe["true"].to_numpy(), rel=0.1)


def test_notebook_multi_step_has_its_probe(notebooks: Notebooks) -> None:
    probe = predictions(notebooks[1]["multi_step"], "probe")
    assert probe["true"].tolist() == [100.0, 110.0]
    assert probe["output"].tolist() == [0, 1]
    # The notebook's own network says 114 and 127.
    assert probe["predicted"].to_numpy() == pytest.approx([100, 110], rel=0.3)


def test_notebook_noise_cannot_be_learnt(notebooks: Notebooks) -> None:
    assert final(notebooks[1]["noise"], "test/loss") == pytest.approx(1 / 12, abs=0.02)
    assert len(predictions(notebooks[1]["noise"], "test")) == 200


def test_notebook_binary_has_an_accuracy(notebooks: Notebooks) -> None:
    directory = notebooks[1]["binary"]
    rows = predictions(directory, "train")
    right = (rows["predicted"] > 0.5) == (rows["true"] > 0.5)
    assert final(directory, "train/accuracy") == pytest.approx(right.mean(), abs=1e-12)
    assert 0.45 < right.mean() < 0.75
    assert rows["predicted"].between(0, 1).all(), "probabilities"


def test_notebook_forward_answers_at_every_step(notebooks: Notebooks) -> None:
    directory = notebooks[1]["forward"]
    rows = table(directory / "predictions.csv")
    places = list(rows[["time_step", "output"]].itertuples(index=False, name=None))
    assert places == [(step, output) for step in range(3) for output in range(2)]
    assert rows["true"].isna().all()
    assert np.isfinite(rows["predicted"]).all()
    assert program.events(directory, "metrics") == [], "no epoch, no metric"
    before, after = (
        load_file(directory / f"weights/{name}.safetensors") for name in ("initial", "final")
    )
    assert all((before[name] == after[name]).all() for name in before)


def test_notebook_sgd_step_keeps_its_gradient(notebooks: Notebooks) -> None:
    weights = notebooks[1]["sgd_step"] / "weights"
    initial, final_, gradient = (
        load_file(weights / f"{name}.safetensors") for name in ("initial", "final", "gradient")
    )
    assert {name: value.shape for name, value in gradient.items()} == {
        "rnn.0.kernel": (1, 32, 64),
        "rnn.0.recurrent_kernel": (1, 64, 64),
        "rnn.0.bias": (1, 64),
    }
    for name, value in gradient.items():
        # The weights are rounded to float32 after a step of 0.01: half a unit of a number below 1.
        moved = (initial[name].astype(float) - final_[name]) / 0.01
        np.testing.assert_allclose(moved, value, rtol=1e-5, atol=2**-24 / 0.01)
