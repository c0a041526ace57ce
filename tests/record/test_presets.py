"""Programs that do what the presets `experiment=notebook_…` do, recorded as they are and repeated.

Each is run in a process of its own; its repetitions are runs of this one.
"""

from pathlib import Path

import numpy as np
import pytest

from harness.console.terminal import console
from harness.recorder.recording import read_recording
from harness.repeat.repeat import Request, repeat
from tests.record.own_means import PROGRAMS, record

pytestmark = pytest.mark.slow

PRESETS = PROGRAMS / "presets"
# program -> steps, semantics, samples of its fit
TRAINED = {
    "ramp.py": (100, "keras", 100),
    "sum.py": (130, "keras", 100),
    "noise.py": (500, "keras", 800),
    "binary.ipynb": (40, "keras", 100),
    "multi_step.ipynb": (200, "keras", 5),
    "sgd_step.py": (1, "torch", 32),
}
SETTINGS = ("tracking=journal",)


@pytest.mark.parametrize("program", TRAINED)
def test_every_backend_repeats_it(
    program: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps, semantics, samples = TRAINED[program]
    done = record(tmp_path, str(PRESETS / program))
    assert done.code == 0, done.err
    folder = tmp_path / "recorded" / Path(program).stem
    recording = read_recording(folder)
    assert (recording.steps, len(recording.data["x"])) == (steps, samples)
    monkeypatch.chdir(tmp_path)
    assert repeat(Request(recording=folder, overrides=SETTINGS), console()) == 0
    said = capsys.readouterr().out
    assert f" as semantics={semantics}." in said
    assert said.count("inside") == 4
    change_losses(folder)
    changed = Request(recording=folder, name="changed", overrides=SETTINGS, seconds=1.0)
    assert repeat(changed, console()) == 1


def change_losses(folder: Path) -> None:
    """Change an early loss by a hundredth: the recording is then no training's."""
    losses = np.load(folder / "losses.npy")
    losses[min(len(losses), 3) - 1] *= 1.01
    np.save(folder / "losses.npy", losses)


def test_a_program_that_does_not_train_is_told_so(tmp_path: Path) -> None:
    done = record(tmp_path, str(PRESETS / "forward.py"))
    assert done.code == 2
    assert "trained nothing that was seen" in done.err.splitlines()[-1]
    assert not (tmp_path / "recorded").exists()
