"""Runs whose epochs are all trained and that only lack their end are completed by `resume=`."""

import shlex
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.console.command_line import override
from harness.core.errors import ConfigError
from harness.core.file_names import JOURNAL
from harness.runs import summary
from harness.tracking.journal import read
from harness.tracking.journal_writer import Journal
from tests.support import program
from tests.support.program import uses_mlflow
from tests.support.resumed_runs import CASES, LONG, SMALL, curve, run
from tests.support.stopped_at import stopped_at

pytestmark = uses_mlflow

WRITTEN = ("weights/final.safetensors", "predictions.csv", "parameters.csv")


def cut(whole: Path, to: Path, status: str | None) -> Path:
    """A copy of a run as it was after its last epoch: `status` is how it ended then, None for a
    process that was killed."""
    copy = shutil.copytree(whole, to)
    kept = [event for event in read(whole) if event["kind"] not in ("scalars", "table", "end")]
    kept = [event for event in kept if event.get("path", "checkpoints").startswith("checkpoints")]
    (copy / JOURNAL).unlink()
    journal = Journal(copy)
    for event in kept:
        journal.write(**event)
    if status is not None:
        journal.write("end", status=status, error="Killed: SIGTERM")
    journal.close()
    for path in (*WRITTEN, "plots/loss.png", "plots/predictions.png"):
        (copy / path).unlink()
    return copy


def same_files(one: Path, other: Path) -> None:
    for path in WRITTEN:
        assert (one / path).read_bytes() == (other / path).read_bytes(), path
    assert (other / "plots/loss.png").exists()
    for metric in ("train/loss", "val/loss"):
        assert curve(one, metric).tolist() == curve(other, metric).tolist()


@pytest.mark.parametrize("status", [None, "KILLED", "FAILED"])
def test_a_run_without_its_end_is_completed(
    uninterrupted: Any, tmp_path: Path, status: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    whole = uninterrupted("adam", "numpy")
    stopped = cut(whole, tmp_path / "stopped", status)
    result = run(tmp_path / "rest", f"resume={stopped}")
    same_files(whole, tmp_path / "rest")
    assert result.outcome.epochs == 6
    assert result.outcome.epoch_seconds == [], "nothing was trained"
    assert result.values["train/loss"].tolist() == curve(whole)[-1].tolist()
    assert f"completes {stopped}, whose 6 epochs are trained" in caplog.text
    with pytest.raises(ConfigError, match=r"trainer\.epochs=6: .*6 epochs behind it"):
        run(tmp_path / "again", f"resume={tmp_path / 'rest'}")
    early = ("checkpoint=epoch-00003", "trainer.epochs=3")
    with pytest.raises(ConfigError, match=r"trainer\.epochs=3: .*epoch-00003 .*3 epochs behind it"):
        run(tmp_path / "early", f"resume={stopped}", *early)


# Where a run is killed after its last epoch, in the order in which it comes there: the end of a
# file's path, or what a line of the journal contains. With True it is killed after that, else
# before the file has its name, or in the middle of the line.
POINTS = [
    ("epoch-00006.safetensors", True),
    ('"kind": "checkpoint"', False),
    ("weights/final.safetensors", False),
    ("weights/final.safetensors", True),
    ("predictions.csv", True),
    ("plots/loss.png", False),
    ('"path": "predictions.csv"', False),
    ('"kind": "table"', True),
    ('"time/train_s"', False),
    ('"time/train_s"', True),
    ('"kind": "end"', False),
]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize(("point", "after"), POINTS)
def test_a_run_that_was_killed_after_its_last_epoch_is_completed(
    uninterrupted: Any, tmp_path: Path, point: str, after: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    stopping = stopped_at(tmp_path / "modules", point, after=after)
    # Then the last epoch's checkpoint is the only one.
    words = ("trainer.checkpoint_every=0",) if "checkpoint" in point else ()
    words = (*SMALL, *CASES["adam"], *words)
    done = program.finish(program.start(tmp_path, *words, path=(stopping,)))
    assert done.code == -signal.SIGKILL, done.err
    stopped = program.directory(tmp_path)
    assert not program.events(stopped, "end")
    result = run(tmp_path / "rest", f"resume={stopped}")
    same_files(uninterrupted("adam", "numpy"), tmp_path / "rest")
    assert result.outcome.epoch_seconds == [], "nothing was trained"
    assert program.events(tmp_path / "rest", "end")[-1]["status"] == "FINISHED"
    assert f"completes {stopped}, whose 6 epochs are trained" in caplog.text
    cut_short = point.startswith('"') and not after
    assert (f"{stopped / JOURNAL}: its last line was cut short" in caplog.text) == cut_short


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_run_that_was_killed_before_its_last_checkpoint_trains_from_the_one_before(
    uninterrupted: Any, tmp_path: Path
) -> None:
    stopping = stopped_at(tmp_path / "modules", "epoch-00006.safetensors")
    words = (*SMALL, *CASES["adam"])
    done = program.finish(program.start(tmp_path, *words, path=(stopping,)))
    assert done.code == -signal.SIGKILL, done.err
    stopped = program.directory(tmp_path)
    assert len(curve(stopped)) == 6
    result = run(tmp_path / "rest", f"resume={stopped}")
    assert len(result.outcome.epoch_seconds) == 3
    same_files(uninterrupted("adam", "numpy"), tmp_path / "rest")


def test_a_run_that_stopped_early_and_lacks_its_end_is_completed(tmp_path: Path) -> None:
    chosen = ("task=binary", "task.rule=random", "task.samples=100", "optimizer.lr=0.02")
    chosen += ("trainer.epochs=40", "trainer.patience=2", "replicas=2", "tracking=journal")
    whole = run(tmp_path / "whole", *chosen)
    assert whole.outcome.stopped_early
    stopped = cut(tmp_path / "whole", tmp_path / "stopped", "KILLED")
    rest = run(tmp_path / "rest", f"resume={stopped}")
    same_files(tmp_path / "whole", tmp_path / "rest")
    assert rest.outcome.stopped_early
    assert rest.outcome.epochs == whole.outcome.epochs
    assert rest.values.keys() == whole.values.keys()
    for name, values in whole.values.items():
        assert rest.values[name].tolist() == values.tolist(), name


def test_how_to_go_on_after_early_stopping_is_no_command_that_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ("task=binary", "task.rule=random", "task.samples=100", "optimizer.lr=0.02")
    chosen += ("trainer.epochs=40", "trainer.patience=2", "tracking=journal")
    result = run(tmp_path / "whole", *chosen)
    summary.show(result, Console(width=110))
    [line] = [text for text in capsys.readouterr().out.splitlines() if "  go on " in text]
    more = run(tmp_path / "more", *shlex.split(line)[5:])
    assert more.outcome.epochs == 2 * result.outcome.epochs


def test_a_pass_without_training_that_was_stopped_is_completed(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", *SMALL, "trainer.epochs=0")
    (tmp_path / "whole" / JOURNAL).write_text("")
    completed = run(tmp_path / "on", f"resume={tmp_path / 'whole'}")
    assert completed.values == whole.values


def test_a_process_that_was_stopped_after_its_last_epoch_says_how_it_is_completed(
    tmp_path: Path,
) -> None:
    """In a folder whose name a shell and Hydra would read otherwise."""
    place = "it's 50 % [of] a=b, $c & #李"
    folder = tmp_path / place
    folder.mkdir()
    words = (*LONG, "trainer.epochs=300", override("results", f"my {place}"))
    stopping = stopped_at(tmp_path / "modules", "parameters.csv", signal.SIGTERM)
    done = program.finish(program.start(folder, *words, path=(stopping,)))
    [began] = folder.glob("my*/runs/*/config.yaml")
    stopped = began.parent
    assert done.code == 128 + signal.SIGTERM, done.err
    assert len(curve(stopped)) == 300
    again = done.err.rstrip("\n").rpartition("go on with: ")[2]
    rest = program.run(folder, *shlex.split(again)[3:])
    assert rest.code == 0, rest.err
    assert "whose 300 epochs are trained" in rest.err
    [line] = [text for text in rest.out.splitlines() if text.startswith("  files ")]
    completed = Path(shlex.split(line)[1])
    assert completed.parent == stopped.parent
    assert {path for path in WRITTEN if (completed / path).is_file()} == set(WRITTEN)
    [line] = [text for text in rest.out.splitlines() if text.startswith("  go on ")]
    more = program.run(folder, *shlex.split(line)[5:])
    assert more.code == 0, more.err
