"""The loop keeps its promises to any backend: decided with one whose losses are written beforehand.

What a backend is asked for (batches, order, learning rates), what becomes of its answers (epoch
loss, journal, divergence), and when training stops. No framework and no network take part.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from backends import Array, Backend, State
from harness.config.schema import Config
from harness.core.errors import Diverged
from harness.system.signals import Killed
from harness.tracking.journal import read
from harness.tracking.run_log import RunLog
from harness.training import trainer
from harness.training.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from harness.training.splits import Scale, Split, Splits
from harness.training.trainer import Outcome
from tests.support.configs import config

N = 10  # training samples


@cache
def defaults() -> Config:
    return config("trainer.epochs=3", "trainer.batch_size=4", "task.test_fraction=0")


def settings(replicas: int = 1, seed: int = 0, semantics: Any = (), **changes: Any) -> Config:
    base = defaults()
    return replace(
        base,
        seed=seed,
        replicas=replicas,
        trainer=replace(base.trainer, **changes),
        semantics=replace(base.semantics, **dict(semantics)),
    )


def splits(y_std: float = 1.0, largest: float = 1.0, val: bool = False) -> Splits:
    """`N` samples whose inputs all are `largest`; validation targets are 0."""
    x, y = np.full((1, N, 2, 1), largest), np.zeros((1, N, 1))
    ones = np.ones((1, 1, 1, 1))
    scale = Scale(0 * ones, ones, np.zeros(1), np.full(1, y_std))
    parts = {"train": Split(x, y)}
    return Splits(parts | {"val": Split(x, y)} if val else parts, scale, "float64")


@dataclass
class Scripted:
    """Answers with the losses of a script and adds up its learning rates as its only weight."""

    start: State
    losses: Array  # (steps, R)
    val_losses: Array  # (epochs, R)
    device: str = "cpu"
    kernel: str = "counting"
    calls: list[tuple[Array, Array]] = field(default_factory=list)
    measured: int = 0

    def __post_init__(self) -> None:
        self.weight, self.memory = self.start.params["w"].copy(), self.start.slots["m"]["w"].copy()
        self.step = self.start.step

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        assert batches.shape[:2] == lr.shape
        self.calls.append((batches, lr))
        answer = self.losses[self.step : self.step + len(lr)]
        self.weight, self.memory = self.weight + lr.sum(axis=0)[:, None], self.memory + len(lr)
        self.step += len(lr)
        return answer

    def predict(self, x: Array, mask: Array | None = None) -> Array:
        """Such outputs that the mean squared error is the script's."""
        loss = self.val_losses[min(self.measured, len(self.val_losses) - 1)]
        self.measured += 1
        return np.sqrt(np.broadcast_to(loss[:, None, None], (len(loss), x.shape[1], 1)))

    def state(self) -> State:
        return State({"w": self.weight.copy()}, {"m": {"w": self.memory.copy()}}, self.step)


@dataclass
class Trained:
    """What `train` did with a scripted backend."""

    outcome: Outcome
    built: list[Scripted]
    events: list[dict[str, Any]]

    @property
    def first(self) -> Scripted:
        return self.built[0]

    def metric(self, name: str) -> list[list[float]]:
        return [e["values"][name] for e in self.events if name in e.get("values", {})]


Train = Callable[..., Trained]


@pytest.fixture
def train(tmp_path: Path) -> Train:
    """Trains with the scripts `losses` `(steps, R)` and `val_losses` `(epochs, R)`."""
    directories = iter(tmp_path / str(i) for i in range(100))

    def trained(
        run: Config,
        losses: Any = None,
        val_losses: Any = None,
        data: Splits | None = None,
        begun: Checkpoint | None = None,
    ) -> Trained:
        R, built = run.replicas, []
        script = (
            np.ones((1000, R)) if losses is None else np.reshape(np.array(losses, float), (-1, R))
        )
        val = np.ones((1, R)) if val_losses is None else np.reshape(val_losses, (-1, R))

        def build(state: State) -> Backend:
            built.append(Scripted(state, script, val))
            return cast(Backend, built[-1])

        zeros = np.zeros((R, 1))
        start = State({"w": zeros}, {"m": {"w": zeros.copy()}}) if begun is None else begun.state
        data = data or splits(val=val_losses is not None)
        directory = next(directories)
        with RunLog(directory, None) as record:
            outcome = trainer.train(build, start, data, run, record, begun)
        return Trained(outcome, built, list(read(directory)))

    return trained


@pytest.mark.parametrize(
    ("batch_size", "last_batch", "shapes"),
    [
        (4, "keep", [(2, 1, 4), (1, 1, 2)]),
        (4, "drop", [(2, 1, 4)]),
        (5, "keep", [(2, 1, 5)]),
        (1, "keep", [(10, 1, 1)]),
        (10, "keep", [(1, 1, 10)]),
        (99, "keep", [(1, 1, 10)]),
        (99, "drop", [(1, 1, 10)]),
    ],
)
def test_an_epoch_is_its_full_batches_and_then_the_rest(
    train: Train, batch_size: int, last_batch: str, shapes: list[tuple[int, ...]]
) -> None:
    run = settings(batch_size=batch_size, semantics={"last_batch": last_batch})
    calls = train(run).first.calls
    assert [batches.shape for batches, _ in calls] == shapes * 3
    assert [lr.shape for _, lr in calls] == [shape[:2] for shape in shapes] * 3


def orders(backend: Scripted, calls_per_epoch: int) -> list[Array]:
    """The order in which each epoch visited its samples, `(R, N)`."""
    flat = [b.swapaxes(0, 1).reshape(b.shape[1], -1) for b, _ in backend.calls]
    epochs = range(0, len(flat), calls_per_epoch)
    return [np.concatenate(flat[i : i + calls_per_epoch], axis=1) for i in epochs]


def test_every_sample_is_visited_once_in_an_order_of_its_own(train: Train) -> None:
    visited = orders(train(settings(replicas=2, epochs=5)).first, 2)
    assert len(visited) == 5
    for order in visited:
        assert np.sort(order, axis=1).tolist() == [list(range(N))] * 2
    every = [tuple(row) for order in visited for row in order]
    assert len(set(every)) == 10, "no two epochs and no two replicas share an order"


def test_without_shuffling_samples_come_in_order(train: Train) -> None:
    visited = orders(train(settings(replicas=2, shuffle=False)).first, 2)
    assert [order.tolist() for order in visited] == [[list(range(N))] * 2] * 3


def test_a_replica_has_the_order_of_its_own_seed(train: Train) -> None:
    together = orders(train(settings(replicas=3, seed=5)).first, 2)
    for r in range(3):
        alone = orders(train(settings(seed=5 + r)).first, 2)
        assert [order[r].tolist() for order in together] == [order[0].tolist() for order in alone]


def test_training_again_visits_in_the_same_order(train: Train) -> None:
    once, again = (orders(train(settings()).first, 2) for _ in range(2))
    assert [o.tolist() for o in once] == [o.tolist() for o in again]


def test_dropping_leaves_out_other_samples_each_epoch(train: Train) -> None:
    run = settings(epochs=20, semantics={"last_batch": "drop"})
    visited = orders(train(run).first, 1)
    assert {len(set(order[0])) for order in visited} == {8}
    assert set(np.concatenate(visited, axis=1)[0]) == set(range(N))


@pytest.mark.parametrize(
    ("semantics", "batch_size", "losses", "expected"),
    [
        ({}, 4, [1, 2, 6], (4 * 1 + 4 * 2 + 2 * 6) / 10),
        ({"epoch_loss": "batches"}, 4, [1, 2, 6], (1 + 2 + 6) / 3),
        ({"last_batch": "drop"}, 4, [1, 2], 1.5),
        ({"last_batch": "drop", "epoch_loss": "batches"}, 4, [1, 2], 1.5),
        ({}, 99, [7], 7),
    ],
)
def test_the_epoch_loss_is_a_mean_over_samples_unless_asked_otherwise(
    train: Train, semantics: dict[str, str], batch_size: int, losses: list[int], expected: float
) -> None:
    run = settings(epochs=1, batch_size=batch_size, semantics=semantics)
    done = train(run, losses)
    assert done.metric("train/loss") == [[pytest.approx(expected, rel=1e-15)]]
    assert done.outcome.values["train/loss"] == pytest.approx([expected], rel=1e-15)


def test_the_epoch_loss_is_per_replica_and_in_original_units(train: Train) -> None:
    run = settings(replicas=2, epochs=1, batch_size=5)
    done = train(run, [[1, 10], [3, 30]], data=splits(y_std=3.0))
    assert done.metric("train/loss") == [[pytest.approx(9 * 2), pytest.approx(9 * 20)]]


def test_every_epoch_is_journalled_under_its_number_from_1(train: Train) -> None:
    done = train(settings(batch_size=N), [3, 2, 1], [[30.0], [20.0], [10.0]])
    steps = [event["step"] for event in done.events if event["kind"] == "metrics"]
    assert steps == [1, 2, 3]
    assert done.metric("train/loss") == [[3.0], [2.0], [1.0]]
    assert done.metric("val/loss") == [[pytest.approx(v)] for v in (30.0, 20.0, 10.0)]


def rates(trained: Trained) -> Array:
    """The learning rate of every step, `(steps, R)`."""
    return np.concatenate([lr for _, lr in trained.first.calls])


def test_a_constant_rate_stays_at_lr(train: Train) -> None:
    lr = rates(train(settings(replicas=2)))
    assert lr.tolist() == [[0.001, 0.001]] * 9


@pytest.mark.parametrize("last_batch", ["keep", "drop"])
@pytest.mark.parametrize("schedule", ["cosine", "exponential"])
def test_a_schedule_falls_from_lr_to_its_end_at_the_last_step(
    train: Train, schedule: str, last_batch: str
) -> None:
    run = settings(
        replicas=2, schedule=schedule, final_lr=0.1, semantics={"last_batch": last_batch}
    )
    lr = rates(train(run))
    assert len(lr) == (9 if last_batch == "keep" else 6)
    assert (lr[:, 0] == lr[:, 1]).all()
    assert lr[0, 0] == pytest.approx(0.001, rel=1e-14)
    assert lr[-1, 0] == pytest.approx(0.0001, rel=1e-14)
    assert (np.diff(lr[:, 0]) < 0).all()


def test_an_exponential_schedule_loses_the_same_share_each_step(train: Train) -> None:
    lr = rates(train(settings(schedule="exponential", final_lr=0.1)))[:, 0]
    assert lr[1:] / lr[:-1] == pytest.approx(np.full(8, 0.1 ** (1 / 8)), rel=1e-13)


def test_a_cosine_schedule_is_half_way_at_half_time_and_flat_at_its_ends(train: Train) -> None:
    lr = rates(train(settings(schedule="cosine", final_lr=0.0)))[:, 0]
    assert lr[4] == pytest.approx(0.0005, rel=1e-13)
    assert lr + lr[::-1] == pytest.approx(np.full(9, 0.001), rel=1e-13), "symmetric"
    assert lr[0] - lr[1] < 0.25 * (lr[3] - lr[4])
    assert lr[-1] == pytest.approx(0.0, abs=1e-18)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "exponential"])
def test_a_single_step_is_done_at_lr(train: Train, schedule: str) -> None:
    run = settings(epochs=1, batch_size=N, schedule=schedule)
    assert rates(train(run)).tolist() == [[0.001]]


# One column per replica; each has its best in another epoch. The last value of replica 0 would be
# its best, but by then it has stopped.
VAL = np.array(
    [
        [5.0, 5.0, 5.0],
        [6.0, 4.0, 4.0],
        [7.0, 5.0, 3.0],
        [8.0, 6.0, 3.5],
        [1.0, 7.0, 3.6],
        [1.0, 7.0, 3.7],
    ]
)
BEST, STOPPED = [1, 2, 3], [3, 4, 5]


def patient(**changes: Any) -> Config:
    return settings(**{"epochs": 6, "batch_size": N, "patience": 2} | changes)


@pytest.mark.parametrize("r", range(3))
def test_early_stopping_waits_as_long_as_its_patience(train: Train, r: int) -> None:
    done = train(patient(), val_losses=VAL[:, r])
    assert done.outcome.stopped_early
    assert done.outcome.epochs == STOPPED[r] == len(done.metric("val/loss"))
    assert done.outcome.best_epoch is not None
    assert done.outcome.best_epoch.tolist() == [BEST[r]]


@pytest.mark.parametrize("r", range(3))
def test_the_best_weights_are_restored(train: Train, r: int) -> None:
    done = train(patient(), val_losses=VAL[:, r])
    first, restored = done.built
    assert done.outcome.backend is restored
    assert first.state().params["w"] == pytest.approx(0.001 * STOPPED[r])
    assert restored.start.params["w"] == pytest.approx(0.001 * BEST[r])
    assert restored.start.slots["m"]["w"] == BEST[r]


def test_a_replica_stops_exactly_as_it_would_alone(train: Train) -> None:
    together = train(patient(replicas=3, seed=7), val_losses=VAL)
    assert together.outcome.epochs == max(STOPPED)
    best = together.outcome.backend.state()
    for r in range(3):
        alone = train(patient(seed=7 + r), val_losses=VAL[:, r])
        state = alone.outcome.backend.state()
        assert best.params["w"][r] == state.params["w"][0]
        assert best.slots["m"]["w"][r] == state.slots["m"]["w"][0]
        assert together.outcome.best_epoch is not None
        assert alone.outcome.best_epoch is not None
        assert together.outcome.best_epoch[r] == alone.outcome.best_epoch[0]
        shared = together.metric("val/loss")[: STOPPED[r]]
        assert [values[r] for values in shared] == [v[0] for v in alone.metric("val/loss")]


def test_a_replica_that_has_stopped_learns_at_a_rate_of_0(train: Train) -> None:
    lr = rates(train(patient(replicas=3), val_losses=VAL))
    assert lr.T.tolist() == [
        [0.001] * STOPPED[r] + [0.0] * (max(STOPPED) - STOPPED[r]) for r in range(3)
    ]


def test_the_values_kept_are_those_of_the_epoch_that_is_kept(train: Train) -> None:
    losses = np.arange(18.0).reshape(6, 3)
    done = train(patient(replicas=3), losses, VAL)
    kept = [losses[BEST[r] - 1, r] for r in range(3)]
    assert done.outcome.values["train/loss"].tolist() == kept


def test_training_that_never_stops_early_ends_with_its_best_weights_too(train: Train) -> None:
    done = train(patient(patience=99), val_losses=[[3.0], [1.0], [2.0], [2.0], [2.0], [2.0]])
    assert not done.outcome.stopped_early
    assert done.outcome.epochs == 6
    assert done.outcome.backend.state().params["w"] == pytest.approx(0.001 * 2)


def test_without_patience_the_last_weights_are_kept(train: Train) -> None:
    done = train(settings(batch_size=N), val_losses=[[1.0], [2.0], [3.0]])
    assert len(done.built) == 1
    assert done.outcome.best_epoch is None
    assert done.outcome.backend.state().params["w"] == pytest.approx(0.001 * 3)


@pytest.mark.parametrize(("min_delta", "epochs"), [(0.0, 6), (0.5, 3), (0.05, 6)])
def test_a_fall_counts_only_if_it_is_large_enough(
    train: Train, min_delta: float, epochs: int
) -> None:
    falling = [[1.0], [0.9], [0.8], [0.7], [0.6], [0.5]]
    done = train(patient(min_delta=min_delta), val_losses=falling)
    assert done.outcome.epochs == epochs


def test_an_equal_loss_is_no_better(train: Train) -> None:
    done = train(patient(), val_losses=np.ones((6, 1)))
    assert done.outcome.epochs == 3
    assert done.outcome.best_epoch is not None
    assert done.outcome.best_epoch.tolist() == [1]


def test_the_state_that_training_starts_from_is_left_as_it_is(train: Train) -> None:
    done = train(patient(), val_losses=VAL[:, 2])
    assert done.first.start.params["w"].tolist() == [[0.0]]
    assert done.first.start.step == 0


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


def kept(tmp_path: Path) -> dict[int, Checkpoint]:
    """The checkpoints of the only training, by epoch."""
    return {int(p.stem[-5:]): load_checkpoint(p) for p in tmp_path.rglob("*.safetensors")}


def test_of_every_training_the_last_epoch_is_kept(train: Train, tmp_path: Path) -> None:
    done = train(settings(batch_size=N))
    [(epoch, checkpoint)] = kept(tmp_path).items()
    assert (epoch, checkpoint.epoch, checkpoint.state.step) == (3, 3, 3)
    files = [event["path"] for event in done.events if event["kind"] == "file"]
    assert files == ["checkpoints/epoch-00003.safetensors", "journal.jsonl"]


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
    whole = train(patient(replicas=3, checkpoint_every=1), losses, VAL).outcome
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
    save_checkpoint(path, Checkpoint(state, 7, best, stopping))
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


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite_ends_training_at_once(
    train: Train, tmp_path: Path, value: float
) -> None:
    losses = np.ones((100, 2))
    losses[7, 1] = value  # the second step of the third epoch
    with pytest.raises(Diverged) as error:
        train(settings(replicas=2, seed=10, epochs=50), losses, VAL[:, :2])
    message = str(error.value)
    assert "epoch 3" in message
    assert "seeds 11)" in message, "the seed that diverged, and no other"
    assert "optimizer.lr=0.001" in message
    assert "trainer.clip=1" in message
    assert "\n" not in message
    metrics = [e for e in read(tmp_path / "0") if e["kind"] == "metrics"]
    assert [event["step"] for event in metrics] == [1, 2, 3], (
        "with all that was measured until then"
    )
    assert metrics[1]["values"]["val/loss"] == pytest.approx([6.0, 4.0])
    assert metrics[2]["values"]["train/loss"][0] == 1.0
    assert not np.isfinite(metrics[2]["values"]["train/loss"][1])


def test_a_validation_loss_that_is_not_finite_names_its_seed_as_well(train: Train) -> None:
    val = VAL[:, :2].copy()
    val[1, 1] = np.inf
    with pytest.raises(Diverged, match=r"epoch 2.*\b11\b"):
        train(settings(replicas=2, seed=10), val_losses=val)


@pytest.mark.parametrize(
    ("data", "changes", "cause"),
    [
        (splits(), {"clip": 1.0}, "optimizer.lr=0.001 is likely too large; try 0.0001"),
        (splits(largest=-109.0), {}, "inputs reach 109; try task.scale=standard"),
    ],
)
def test_the_likely_cause_is_named(
    train: Train, data: Splits, changes: dict[str, Any], cause: str
) -> None:
    with pytest.raises(Diverged) as error:
        train(settings(**changes), [[np.nan]] * 9, data=data)
    assert cause in str(error.value)
    assert "epoch 1" in str(error.value)


def test_no_epochs_means_no_training(train: Train) -> None:
    done = train(settings(epochs=0, patience=1), val_losses=VAL[:, 0])
    assert done.first.calls == []
    assert len(done.built) == 1
    assert done.outcome.backend is done.first
    assert (done.outcome.epochs, done.outcome.values) == (0, {})
    assert not done.metric("train/loss")
    assert set(done.outcome.timings()) == {"time/train_s", "time/compile_s"}
    assert done.outcome.timings()["time/train_s"] == 0


def test_timings_of_training(train: Train) -> None:
    timings = train(settings()).outcome.timings()
    assert set(timings) == {"time/train_s", "time/compile_s", "time/per_step_us"}
    assert all(np.isfinite(seconds) and seconds >= 0 for seconds in timings.values())


def untrained() -> Backend:
    start = State({"w": np.zeros((1, 1))}, {"m": {"w": np.zeros((1, 1))}})
    return cast(Backend, Scripted(start, np.ones((1, 1)), np.ones((1, 1))))


def test_timings_tell_the_first_epoch_from_a_usual_one() -> None:
    outcome = Outcome(
        untrained(),
        construction_seconds=0.5,
        epoch_seconds=[3.0, 1.0, 1.5, 0.5],
        steps_per_epoch=10,
    )
    assert outcome.timings() == {
        "time/train_s": 4.0,
        "time/compile_s": 0.5 + (3.0 - 1.0),
        "time/per_step_us": 1e5,
    }


def test_a_single_epoch_cannot_tell_a_usual_step() -> None:
    outcome = Outcome(untrained(), epoch_seconds=[2.0], steps_per_epoch=4)
    expected = {"time/train_s": 2.0, "time/compile_s": 0.0}
    assert outcome.timings() == expected
