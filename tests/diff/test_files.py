"""`harness diff` of files that other programs wrote: what was done to one of them is named."""

from pathlib import Path
from typing import Any

import pytest
import torch

from harness.diff import __main__ as diff

STATED = [f"{side}.{word}" for side in "ab" for word in ("returns=last", "outputs=values")]


def saved(path: Path, order: list[int]) -> str:
    """Write an LSTM's state_dict with its gates in this order."""
    torch.manual_seed(0)
    network = torch.nn.ModuleDict({"rnn": torch.nn.LSTM(3, 6), "fc": torch.nn.Linear(6, 1)})
    state = network.state_dict()
    for name, value in state.items():
        if name.startswith("rnn"):
            gates = value.chunk(4)
            state[name] = torch.cat([gates[gate] for gate in order])
    torch.save(state, path)
    return str(path)


def test_gates_in_another_order_are_named(tmp_path: Path, capsys: Any) -> None:
    a, same = (saved(tmp_path / name, [0, 1, 2, 3]) for name in ("a.pt", "same.pt"))
    b = saved(tmp_path / "b.pt", [0, 1, 3, 2])
    assert diff.main([a, same, *STATED]) == 0
    capsys.readouterr()
    fixed = tmp_path / "fixed.safetensors"
    assert diff.main([a, b, *STATED, "--fix", str(fixed)]) == 1
    out = capsys.readouterr().out
    assert "i, f, o, c" in out
    assert diff.main([a, str(fixed), *STATED]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "b.returns: say last or every_step: "),
        (["b.returns=lasst"], "b.returns=lasst: must be one of last, every_step."),
        (["b.reset=after", *STATED[2:]], "b.reset"),
        (["b.replica=1"], "b.replica: "),
        (["b.onli=rnn"], "b.KEY=onli: must be one of"),
    ],
)
def test_what_is_said_of_a_file(
    tmp_path: Path, capsys: Any, words: list[str], message: str
) -> None:
    a, b = (saved(tmp_path / name, [0, 1, 2, 3]) for name in ("a.pt", "b.pt"))
    assert diff.main([a, b, *STATED[:2], *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith(message)
    assert err.count("\n") == 1
