"""The recorder of PyTorch around plain training loops."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from harness import recorder
from harness.core.errors import ConfigError
from harness.recorder.recording import Recording, read_recording
from tests.recorder import by_hand

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(10, 3, 2)), rng.normal(size=(10, 1))
RATE = 0.05


class Recurrent(nn.Module):
    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        self.rnn = nn.LSTM(2, 4, batch_first=batch_first)
        self.head = nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out, _ = self.rnn(x)
        return self.head(out[:, -1] if self.rnn.batch_first else out[-1])


def linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 1)).double()


def batches(seed: int = 3) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Two epochs of shuffled batches of 4, 4 and 2."""
    data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    order = torch.Generator().manual_seed(seed)
    loader = torch.utils.data.DataLoader(data, 4, shuffle=True, generator=order)
    return [tuple(batch) for _ in range(2) for batch in loader]


def train(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    change: Callable[[int], object] = lambda _: None,
    dtype: torch.dtype = torch.float64,
) -> Recording:
    """Train as a user would, `change` coming between the backward pass and the step."""
    loss_fn = nn.MSELoss()
    with recorder.torch(folder, model, optimizer, loss_fn):
        for step, (x, y) in enumerate(batches()):
            optimizer.zero_grad()
            loss = loss_fn(model(x.to(dtype)), y.to(dtype))
            loss.backward()
            change(step)
            optimizer.step()
    return read_recording(folder)


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), RATE)


def hand_losses(recording: Recording) -> np.ndarray:
    initial = recording.initial
    return by_hand.losses(recording, initial["1.weight"].T, initial["1.bias"], RATE)


def test_losses_order_and_data_are_those_of_a_training_by_hand(tmp_path: Path) -> None:
    model = linear()
    recording = train(tmp_path, model, sgd(model))
    assert recording.batches is not None
    assert recording.steps == 6
    by_hand.agree(recording, hand_losses(recording))
    for numbers, (x, y) in zip(recording.batches, batches(), strict=True):
        rows = numbers[numbers >= 0]
        assert np.array_equal(recording.data["x"][rows], x.numpy())
        assert np.array_equal(recording.data["y"][rows], y.numpy())
    assert len(recording.data["x"]) == 10
    assert recording.notes == []
    wrong = replace(recording, batches=np.roll(recording.batches, 1, axis=0))
    by_hand.disagree(recording, hand_losses(wrong))


def test_training_is_bit_equal_with_and_without_the_recorder(tmp_path: Path) -> None:
    ends = []
    for record in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(Recurrent(), nn.Dropout(0.3))
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        loss_fn = nn.MSELoss()

        def loop(model: Any = model, optimizer: Any = optimizer, loss_fn: Any = loss_fn) -> None:
            for x, y in batches():
                optimizer.zero_grad()
                loss_fn(model(x.float()), y.float()).backward()
                nn.utils.clip_grad_norm_(model.parameters(), 0.1)
                optimizer.step()

        if record:
            with recorder.torch(tmp_path, model, optimizer, loss_fn):
                loop()
        else:
            loop()
        ends.append(nn.utils.parameters_to_vector(model.parameters()).detach())
    assert torch.equal(*ends)
    notes = read_recording(tmp_path).notes
    assert any("random numbers" in note for note in notes)
    assert any("gradients were changed" in note for note in notes)


def test_a_clipped_norm_is_seen_before_and_at_the_step(tmp_path: Path) -> None:
    model = linear()
    norms = []

    def clip(step: int) -> None:
        if step % 2:
            norms.append(float(nn.utils.clip_grad_norm_(model.parameters(), 0.5)))

    found = train(tmp_path, model, sgd(model), clip).gradient_norms
    assert found is not None
    assert min(norms) > 0.5
    np.testing.assert_allclose(found[1::2, 0], norms, rtol=1e-12)
    np.testing.assert_allclose(found[1::2, 1], 0.5, rtol=1e-5)
    assert np.array_equal(found[::2, 0], found[::2, 1])


def test_rates_and_settings_are_recorded(tmp_path: Path) -> None:
    model = Recurrent()
    optimizer = torch.optim.Adam(
        [
            {"params": model.rnn.parameters(), "weight_decay": 0.1},
            {"params": model.head.parameters(), "lr": 0.5},
        ],
        0.02,
    )
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)

    def step_before(step: int) -> None:
        if step:
            schedule.step()

    optimizer.step()  # a schedule warns of a step that comes before the first of its optimizer
    recording = train(tmp_path, model, optimizer, step_before, torch.float32)
    assert recording.learning_rates is not None
    wanted = np.outer(0.5 ** np.arange(6), [0.02, 0.5])
    np.testing.assert_allclose(recording.learning_rates, wanted, rtol=1e-12)
    groups = recording.stated["param_groups"]
    assert [group["weight_decay"] for group in groups] == [0.1, 0]
    assert groups[0]["betas"] == [0.9, 0.999]
    assert recording.stated["group_parameters"][1] == ["head.weight", "head.bias"]
    assert recording.stated["optimizer"] == "Adam"
    assert set(recording.initial) == set(model.state_dict())


def test_a_program_that_accumulates_gradients_is_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, loss_fn = linear(), nn.MSELoss()
    optimizer = sgd(model)
    with recorder.torch(tmp_path, model, optimizer, loss_fn):
        for step, (x, y) in enumerate(batches()):
            (loss_fn(model(x), y) / 2).backward()
            if step % 2:
                optimizer.step()
                optimizer.zero_grad()
    recording = read_recording(tmp_path)
    assert recording.steps == 3
    assert recording.batches is not None
    assert [int((row >= 0).sum()) for row in recording.batches] == [8, 6, 6]
    text = capsys.readouterr().err
    assert "recorder: several backward passes before a step" in text
    assert "recorder: the loss was multiplied before its backward pass" in text
    assert len(text.splitlines()) == len(recording.notes) == 2


def test_an_evaluation_in_between_is_no_part_of_a_step(tmp_path: Path) -> None:
    model = linear()

    def evaluate(_step: int) -> None:
        model(torch.tensor(X))
        nn.functional.mse_loss(model(torch.tensor(X)), torch.tensor(Y))

    recording = train(tmp_path, model, sgd(model), evaluate)
    assert recording.notes == []
    by_hand.agree(recording, hand_losses(recording))


def test_a_plain_function_is_recorded_where_the_program_calls_the_records(tmp_path: Path) -> None:
    model = linear()
    optimizer = sgd(model)
    with recorder.torch(tmp_path, model, optimizer, functional.mse_loss) as record:
        for x, y in batches():
            optimizer.zero_grad()
            record.loss_fn(model(x), y).backward()
            optimizer.step()
    recording = read_recording(tmp_path)
    by_hand.agree(recording, hand_losses(recording))
    assert recording.stated["loss"] == "mse_loss"


def test_a_loss_that_was_not_seen_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = linear()
    optimizer = sgd(model)
    with recorder.torch(tmp_path, model, optimizer, functional.mse_loss):
        x, y = batches()[0]
        functional.mse_loss(model(x), y).backward()
        optimizer.step()
    recording = read_recording(tmp_path)
    assert (recording.losses, recording.batches, recording.steps) == (None, None, 1)
    assert "order unknown" in capsys.readouterr().err


def test_an_exception_leaves_the_steps_done(tmp_path: Path) -> None:
    model = linear()

    def stop(step: int) -> None:
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, model, sgd(model), stop)
    recording = read_recording(tmp_path)
    assert recording.steps == 4
    by_hand.agree(recording, hand_losses(recording))


def test_a_training_that_diverges_is_recorded_until_then(tmp_path: Path) -> None:
    model = linear()

    def spoil(step: int) -> None:
        if step == 2:
            next(model.parameters()).data.fill_(float("nan"))

    recording = train(tmp_path, model, sgd(model), spoil)
    assert recording.steps == 3
    assert any("step 3 has a loss or a gradient that is not finite" in n for n in recording.notes)


def test_time_major_samples_are_told_apart_by_the_stated_axis(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, loss_fn = Recurrent(batch_first=False), nn.MSELoss()
    optimizer = sgd(model)
    with recorder.torch(tmp_path, model, optimizer, loss_fn, batch_axis=1):
        for x, y in batches():
            loss_fn(model(x.float().transpose(0, 1)), y.float()).backward()
            optimizer.step()
            optimizer.zero_grad()
    recording = read_recording(tmp_path)
    assert recording.data["x"].shape == (10, 3, 2)
    assert recording.notes == []


def test_classes_are_targets_of_one_number(tmp_path: Path) -> None:
    model, loss_fn = nn.Sequential(nn.Flatten(), nn.Linear(6, 3)).double(), nn.CrossEntropyLoss()
    optimizer, classes = sgd(model), torch.arange(10) % 3
    with recorder.torch(tmp_path, model, optimizer, loss_fn):
        loss = loss_fn(model(torch.tensor(X)), classes)
        loss.backward()
        optimizer.step()
    recording = read_recording(tmp_path)
    assert recording.losses is not None
    assert recording.losses.tolist() == [loss.item()]
    assert recording.data["y"].tolist() == classes.tolist()


def test_other_optimizers_and_autocast_are_noted(tmp_path: Path) -> None:
    model, loss_fn = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.Linear(4, 1)), nn.MSELoss()
    first, second = sgd(model[1]), sgd(model[2])
    with recorder.torch(tmp_path, model, first, loss_fn):
        x, y = batches()[0]
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_fn(model(x.float()), y.float())
        loss.backward()
        first.step()
        second.step()
    notes = read_recording(tmp_path).notes
    assert any("several optimizers" in note for note in notes)
    assert any("autocast to torch.bfloat16" in note for note in notes)


def test_files_of_a_folder_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    model = linear()
    with pytest.raises(ConfigError, match="has files, and a recording replaces none"):
        recorder.torch(tmp_path, model, sgd(model), nn.MSELoss())
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
