"""A sweep without `-m`: a setting of Hydra's own asks for it, typed or in the user's own folder."""

from pathlib import Path

import pytest

from tests.support import program

TINY = ("task.samples=20", "trainer.epochs=1", "model.units=2", "tracking=journal")
SWEEP = "# @package _global_\nhydra: {mode: MULTIRUN}\n"


@pytest.mark.parametrize("words", [["hydra.mode=MULTIRUN"], ["experiment=many"]])
def test_it_is_a_sweep(words: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "own"
    if "experiment=many" in words:
        (folder / "experiment").mkdir(parents=True)
        (folder / "experiment" / "many.yaml").write_text(SWEEP)
        words = ["--config-dir", str(folder), *words]
    done = program.run(tmp_path, *words, *TINY, "seed=0,1", "hydra.launcher.workers=1")
    assert done.code == 0, done.err
    assert len([*tmp_path.glob("results/multirun/*/[01]/journal.jsonl")]) == 2


def test_without_it_two_values_are_refused(tmp_path: Path) -> None:
    done = program.run(tmp_path, *TINY, "seed=0,1")
    assert done.code == 2
    assert "seed=0,1" in done.err
