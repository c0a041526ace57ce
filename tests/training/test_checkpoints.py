"""Which epochs are kept as checkpoints, to the last bit.

Decides as well that training goes on from any of them as if nothing had happened.
"""

from pathlib import Path

import numpy as np
import pytest

from backends import Array, State
from harness.core.errors import Diverged
from harness.system.signals import Killed
from harness.training import checkpoints
from harness.training.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from tests.support.scripted_training import (
    BEST,
    VAL,
    N,
    Scripted,
    Train,
    kept,
    patient,
    settings,
)


def test_checkpoints_are_written_at_their_epochs(train: Train, tmp_path: Path) -> None:
    done = train(settings(replicas=2, epochs=5, batch_size=N, checkpoint_every=2))
    paths = sorted(tmp_path.rglob("checkpoints/*"))
    assert [path.name for path in paths] == [f"epoch-0000{e}.safetensors" for e in (2, 4, 5)]
    for path, epoch in zip(paths, (2, 4, 5), strict=True):
        found = load_checkpoint(path)
        state = found.state
        assert (found.epoch, found.best, found.stopping, state.step) == (epoch, None, {}, epoch)
        assert state.params["w"] == pytest.approx(np.full((2, 1), 0.001 * epoch))
        assert state.slots["m"]["w"].tolist() == [[epoch], [epoch]]
    assert done.outcome.epochs == 5


def test_of_every_training_the_last_epoch_is_kept(train: Train, tmp_path: Path) -> None:
    done = train(settings(batch_size=N))
    [(epoch, checkpoint)] = kept(tmp_path).items()
    assert (epoch, checkpoint.epoch, checkpoint.state.step) == (3, 3, 3)
    files = [event["path"] for event in done.events if event["kind"] == "file"]
    assert files == ["checkpoints/epoch-00003.safetensors"]


# Means over both replicas: 6, 3, 4, 2.5, 5, 3.5
LOSSES = [[6.0, 6.0], [1.0, 5.0], [4.0, 4.0], [2.0, 3.0], [1.0, 9.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("epochs", "newest", "expected"),
    [
        (1, 2, [1]),
        (3, 2, [2, 3]),
        (4, 2, [3, 4]),
        (6, 2, [4, 5, 6]),
        (6, 1, [4, 6]),
        (6, 4, [3, 4, 5, 6]),
        (6, 9, [1, 2, 3, 4, 5, 6]),
        (6, None, [1, 2, 3, 4, 5, 6]),
    ],
)
@pytest.mark.parametrize("measured", ["val", "train"])
def test_the_newest_checkpoints_and_the_best_stay(
    train: Train,
    tmp_path: Path,
    epochs: int,
    newest: int | None,
    expected: list[int],
    measured: str,
) -> None:
    changes = {"replicas": 2, "epochs": epochs, "batch_size": N, "checkpoint_every": 1}
    rising = np.arange(12.0).reshape(6, 2)  # its best epoch is the first
    losses, val = (LOSSES, None) if measured == "train" else (rising, LOSSES)
    done = train(settings(**changes, keep_checkpoints=newest), losses, val)
    assert sorted(kept(tmp_path)) == expected
    written = [event["epoch"] for event in done.events if event["kind"] == "checkpoint"]
    assert written == list(range(1, epochs + 1))


def test_an_old_checkpoint_goes_only_when_the_new_one_is_on_the_disk(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = checkpoints.save_checkpoint

    def fail_at_five(path: Path, checkpoint: Checkpoint) -> None:
        if checkpoint.epoch == 5:
            raise OSError(28, "No space left on device")
        save(path, checkpoint)

    monkeypatch.setattr(checkpoints, "save_checkpoint", fail_at_five)
    with pytest.raises(OSError, match="No space left"):
        train(settings(epochs=9, batch_size=N, checkpoint_every=1), -np.arange(9.0)[:, None])
    assert sorted(kept(tmp_path)) == [3, 4]


def test_files_that_the_training_did_not_write_stay(train: Train, tmp_path: Path) -> None:
    folder = tmp_path / "0/checkpoints"
    folder.mkdir(parents=True)
    for name in ("epoch-00000.safetensors", "mine.txt"):
        (folder / name).write_text("mine")
    train(settings(epochs=5, batch_size=N, checkpoint_every=1, keep_checkpoints=1))
    assert {"epoch-00000.safetensors", "mine.txt"} < {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("error", [Killed(2), RuntimeError("out of memory")])
def test_training_that_is_cut_short_keeps_its_last_whole_epoch(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """Even where a backend is left half-way through an update."""
    whole = Scripted.train_epoch

    def cut_short(self: Scripted, batches: Array, lr: Array) -> Array:
        losses = whole(self, batches, lr)
        if self.step > 3:
            raise error
        return losses

    monkeypatch.setattr(Scripted, "train_epoch", cut_short)
    with pytest.raises(type(error)):
        train(settings(epochs=9, batch_size=N))
    [(epoch, checkpoint)] = kept(tmp_path).items()
    assert (epoch, checkpoint.epoch, checkpoint.state.step) == (3, 3, 3)
    assert checkpoint.state.params["w"] == pytest.approx(0.001 * 3)


def test_training_that_diverges_keeps_the_epoch_before(train: Train, tmp_path: Path) -> None:
    with pytest.raises(Diverged):
        train(settings(epochs=9, batch_size=N), [1, 1, np.inf, 1])
    assert list(kept(tmp_path)) == [2]


def test_training_that_is_cut_short_in_its_first_epoch_keeps_nothing(
    train: Train, tmp_path: Path
) -> None:
    with pytest.raises(Diverged):
        train(settings(batch_size=N), [np.nan])
    assert kept(tmp_path) == {}


def test_training_goes_on_after_the_epochs_behind_it(train: Train, tmp_path: Path) -> None:
    changes = {"schedule": "cosine", "batch_size": N, "epochs": 5, "checkpoint_every": 2}
    whole = train(settings(**changes))
    begun = kept(tmp_path)[2]
    rest = train(settings(**changes), begun=begun)
    assert rest.outcome.epochs == 5
    for one, other in zip(whole.first.calls[2:], rest.first.calls, strict=True):
        assert one[0].tolist() == other[0].tolist(), "the order of the samples"
        assert one[1].tolist() == other[1].tolist(), "the learning rate"
    assert [e["step"] for e in rest.events if e["kind"] == "metrics"] == [3, 4, 5]


@pytest.mark.parametrize("epoch", [1, 2, 3, 4])
def test_early_stopping_goes_on_as_if_nothing_had_happened(
    train: Train, tmp_path: Path, epoch: int
) -> None:
    losses = np.arange(18.0).reshape(6, 3)
    whole = train(
        patient(replicas=3, checkpoint_every=1, keep_checkpoints=None), losses, VAL
    ).outcome
    begun = kept(tmp_path)[epoch]
    rest = train(patient(replicas=3), losses, VAL[epoch:], begun=begun).outcome
    assert rest.epochs == whole.epochs
    assert rest.stopped_early
    assert rest.best_epoch is not None
    assert rest.best_epoch.tolist() == BEST
    for name, values in whole.values.items():
        assert rest.values[name].tolist() == values.tolist(), name
    one, other = whole.backend.state(), rest.backend.state()
    assert one.params["w"].tolist() == other.params["w"].tolist()
    assert one.slots["m"]["w"].tolist() == other.slots["m"]["w"].tolist()
    assert one.step == other.step


def test_a_patience_that_is_new_begins_with_the_epochs_that_are_new(
    train: Train, tmp_path: Path
) -> None:
    train(settings(epochs=3, batch_size=N))
    done = train(patient(epochs=9), val_losses=[[5.0], [6.0], [7.0]], begun=kept(tmp_path)[3])
    assert done.outcome.epochs == 6
    assert done.outcome.best_epoch is not None
    assert done.outcome.best_epoch.tolist() == [4]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_state_file_holds_the_state_to_the_last_bit(tmp_path: Path, dtype: str) -> None:
    rng = np.random.default_rng(0)
    names = {"rnn.0.kernel": (2, 3, 4), "rnn.0.bias": (2, 4)}

    def values() -> dict[str, Array]:
        return {name: rng.standard_normal(shape).astype(dtype) for name, shape in names.items()}

    state = State(values(), {"m": values(), "v": values()}, 1234)
    state.params["head.kernel"] = rng.standard_normal((5, 3, 2)).astype(dtype).transpose(2, 1, 0)
    state.params["tiny"] = np.array([np.finfo(dtype).smallest_subnormal, -0.0], dtype=dtype)
    best = State(values(), {"m": values(), "v": values()}, 1200)
    stopping = {"loss": np.array([0.1, np.inf]), "epoch": np.array([6, 0])}
    path = tmp_path / "checkpoints/one.safetensors"
    save_checkpoint(path, Checkpoint(state=state, epoch=7, best=best, stopping=stopping))
    found = load_checkpoint(path)
    loaded = found.state
    assert found.best is not None
    assert (found.epoch, loaded.step, found.best.step) == (7, 1234, 1200)
    assert {name: value.tolist() for name, value in found.stopping.items()} == {
        "loss": [0.1, np.inf],
        "epoch": [6, 0],
    }
    assert sorted(loaded.slots) == ["m", "v"]
    pairs = [(state.params, loaded.params), (best.params, found.best.params)]
    pairs += [(state.slots[slot], loaded.slots[slot]) for slot in state.slots]
    pairs += [(best.slots[slot], found.best.slots[slot]) for slot in best.slots]
    for written, found in pairs:
        assert sorted(written) == sorted(found)
        for name, value in written.items():
            assert found[name].dtype == np.dtype(dtype)
            assert found[name].shape == value.shape
            assert found[name].tobytes() == np.ascontiguousarray(value).tobytes()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["one.safetensors"]
