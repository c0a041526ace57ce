"""`python -m harness.vectors OUT`: PyTorch, ONNX Runtime and the page's own code read the files and
compute the same; and the command leaves alone what it did not write."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends import Array
from harness.errors import ConfigError
from harness.vectors import __main__ as command
from harness.vectors.cases import CASES
from harness.vectors.optimizers import RULES
from harness.vectors.placing import filled
from tests.program import ROOT

NAMES = [case.name for case in CASES]
FORWARD, GRADIENT, TRAINED = 1e-12, 1e-10, 1e-10
FLOAT32 = 1e-5


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("vectors") / "new" / "folder"
    assert command.main([str(out)]) == 0
    return out


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """PyTorch's threads would wait for each other, and nothing here is large."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def read(folder: Path, name: str) -> tuple[dict[str, Array], Any]:
    """The arrays and the description, as a stranger reads them."""
    with np.load(folder / f"{name}.npz") as file:
        return dict(file), json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def error(mine: Any, wanted: Array) -> float:
    """The largest difference as a share of the largest entry; of zeros nothing may differ."""
    assert np.shape(mine) == wanted.shape
    largest = np.abs(wanted).max()
    difference = np.abs(mine - wanted).max()
    return float(difference / largest) if largest else float(difference and np.inf)


def errors(v: dict[str, Array], facts: Any, **changes: Any) -> dict[str, float]:
    """What PyTorch computes for each array, against what is written: the largest error of each
    kind. `changes` are mistakes in reading, see `build`."""
    import torch

    from tests.vectors.plain_torch import build, loss_of

    network = build(v, facts["network"], **changes)
    x = torch.tensor(v["x"], requires_grad=True)
    outputs, loss = loss_of(network, v, x)
    loss.backward()
    assert x.grad is not None
    mask = v.get("mask", np.ones(v["x"].shape[:2], bool))
    found = network.named(gradients=True) | {"x": x.grad.numpy()}
    assert {f"gradients/{name}" for name in found} == {n for n in v if n.startswith("gradients/")}
    return {
        "outputs": error(outputs.detach().numpy(), v["outputs"][mask]),
        "loss": error(loss.item(), v["loss"]),
        "gradients": max(error(value, v[f"gradients/{n}"]) for n, value in found.items()),
    }


@pytest.mark.parametrize("name", NAMES)
def test_pytorch_computes_the_same(written: Path, name: str) -> None:
    from tests.vectors.plain_torch import build, trained

    v, facts = read(written, name)
    found = errors(v, facts)
    assert found["outputs"] < FORWARD and found["loss"] < FORWARD
    assert found["gradients"] < GRADIENT
    for optimizer, settings in facts["optimizers"].items():
        network, folder = build(v, facts["network"]), f"optimizers/{optimizer}"
        assert error(trained(network, optimizer, v, settings), v[f"{folder}/losses"]) < TRAINED
        after = network.named(gradients=False)
        assert max(error(w, v[f"{folder}/params/{n}"]) for n, w in after.items()) < TRAINED


def swapped_biases(v: dict[str, Array]) -> dict[str, Array]:
    name = "params/rnn.0.bias"
    return v | {name: v[name][::-1]}


def test_a_mistake_in_reading_shows(written: Path) -> None:
    for name, order in (
        ("lstm-one_bias-T7", [1, 0, 2, 3]),
        ("lstm-one_bias-T7", [0, 1, 3, 2]),
        ("gru_reset_after-one_bias-ragged", [0, 1, 2]),
        ("gru_reset_after-two_biases-stacked", [1, 2, 0]),
    ):
        assert min(errors(*read(written, name), order=order).values()) > 1e-3, f"{name} {order}"
    for reset, other in (("after", "before"), ("before", "after")):
        v, facts = read(written, f"gru_reset_{reset}-two_biases-T7")
        facts["network"]["reset_gate"] = other
        assert min(errors(v, facts).values()) > 1e-3, f"{reset} read as {other}"
    v, facts = read(written, "gru_reset_after-two_biases-T1")
    assert min(errors(swapped_biases(v), facts).values()) > 1e-3, "a bias on the other side"
    v, facts = read(written, "lstm-one_bias-T7")
    transposed = v["params/rnn.0.recurrent_kernel"].reshape(6, 4, 6).transpose(2, 1, 0)
    wrong = v | {"params/rnn.0.recurrent_kernel": transposed.reshape(6, 24)}
    assert min(errors(wrong, facts).values()) > 1e-3, "a transposed recurrent kernel"


def test_a_wrong_optimizer_shows(written: Path) -> None:
    from tests.vectors.plain_torch import build, trained

    v, facts = read(written, "lstm-two_biases-T7")
    for name, change in (
        ("momentum", {"momentum": 0.89}),
        ("adam", {"beta2": 0.99}),
        ("rmsprop", {"epsilon": 1e-6}),
    ):
        settings = facts["optimizers"][name] | change
        losses = trained(build(v, facts["network"]), name, v, settings)
        assert error(losses, v[f"optimizers/{name}/losses"]) > 1000 * TRAINED, name
    settings = facts["optimizers"]["momentum"]
    losses = trained(build(v, facts["network"]), "nesterov", v, settings)
    assert error(losses, v["optimizers/momentum/losses"]) > 1000 * TRAINED


def in_runtime(model: Any, v: dict[str, Array]) -> Array:
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    inputs: dict[str, Array] = {"x": v["x"].astype(np.float32)}
    if "lengths" in v:
        inputs["lengths"] = v["lengths"].astype(np.int32)
    return np.asarray(session.run(["y"], inputs)[0])


def test_onnx_runtime_computes_the_same(written: Path) -> None:
    for name in NAMES:
        v, facts = read(written, name)
        y = in_runtime(str(written / facts["files"]["model"]), v)
        mask = v.get("mask", np.ones(v["x"].shape[:2], bool))
        assert error(y[mask], v["outputs"][mask]) < FLOAT32, name
        assert not y[~mask].any(), f"{name}: padding"


def test_the_other_reset_form_shows_in_onnx_runtime(written: Path) -> None:
    import onnx

    for reset in ("after", "before"):
        v, facts = read(written, f"gru_reset_{reset}-one_bias-T7")
        model = onnx.load(written / facts["files"]["model"])
        [gru] = [node for node in model.graph.node if node.op_type == "GRU"]
        [form] = [a for a in gru.attribute if a.name == "linear_before_reset"]
        form.i = 1 - form.i
        assert error(in_runtime(model.SerializeToString(), v), v["outputs"]) > 1000 * FLOAT32


def test_the_pages_own_code_checks_the_files(written: Path) -> None:
    page = (written / "README.md").read_text(encoding="utf-8")
    forward, compare = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(forward.splitlines()) == 10, "ten lines"
    scope: dict[str, Any] = {}
    at_home = forward.replace('"lstm-', f'"{written}/lstm-')
    exec(at_home + compare, scope)
    scope["check"]("outputs", scope["v"]["outputs"], 0)
    with pytest.raises(AssertionError, match="outputs"):
        scope["check"]("outputs", scope["v"]["outputs"] * 1.001, 1e-12)
    scope["v"].close()
    exchanged = at_home.replace("i, f, g, o = np.split", "f, i, g, o = np.split")
    with pytest.raises(AssertionError):
        exec(exchanged, scope)
    scope["v"].close()
    assert "Here are all 60 cases." in page


def test_every_array_is_described(written: Path) -> None:
    assert len(NAMES) == len(set(NAMES)) == 60
    kinds = {f"{name}.{kind}" for name in NAMES for kind in ("npz", "json", "onnx")}
    assert {path.name for path in written.iterdir()} == {*kinds, "README.md"}
    for name in NAMES:
        v, facts = read(written, name)
        described = {each["name"]: (each["shape"], each["dtype"]) for each in facts["arrays"]}
        assert described == {n: (list(a.shape), a.dtype.name) for n, a in v.items()}
        assert all(each["meaning"] for each in facts["arrays"])
        assert set(facts["optimizers"]) == set(RULES)
        assert all(np.isfinite(a).all() for a in v.values())
        for optimizer in RULES:
            losses = v[f"optimizers/{optimizer}/losses"]
            assert losses[0] == v["loss"] and losses[-1] < losses[0], f"{name} {optimizer}"


def test_padding_plays_no_part(written: Path) -> None:
    v, _ = read(written, "gru_reset_after-one_bias-stacked_ragged")
    padding = ~v["mask"]
    assert v["x"][padding].all() and v["y"][padding].all()
    assert not v["gradients/x"][padding].any()
    assert v["lengths"].min() == 1 and v["lengths"].max() == v["x"].shape[1]


def test_the_same_case_is_written_the_same_again(written: Path, tmp_path: Path) -> None:
    """Into an empty folder, with the page for what was asked for."""
    out = tmp_path / "empty"
    out.mkdir()
    assert command.main([str(out), "--only", "rnn_relu", "--only", "T1", "--no-onnx"]) == 0
    names = [f"rnn_relu-{biases}-T1" for biases in ("one_bias", "two_biases")]
    wanted = {"README.md", *(f"{name}.{kind}" for name in names for kind in ("npz", "json"))}
    assert {path.name for path in out.iterdir()} == wanted
    for name in names:
        assert (out / f"{name}.npz").read_bytes() == (written / f"{name}.npz").read_bytes()
        assert set(read(out, name)[1]["files"]) == {"arrays"}
    page = (out / "README.md").read_text(encoding="utf-8")
    assert ".onnx" not in page and all(f"- `{name}`\n" in page for name in names)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mine"], "mine: must be a new folder, or an empty one."),
        (["mine/file"], "mine/file: must be a new folder, or an empty one."),
        (["mine/file/below"], "mine/file/below: cannot be made ("),
        ([""], "OUT: must name a folder."),
        (["new/folder", "--only", "peephole"], "--only peephole: no such case; its name is made"),
        (["new/folder", "--only", ""], "--only : no such case"),
        (["new/folder", "--cases"], "--cases: no such option or argument"),
        ([], "out: must be given"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    assert command.main(words) == 2
    line = capsys.readouterr().err
    assert line.lower().startswith(said.lower()) and line.count("\n") == 1
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == [
        "mine",
        "mine/file",
    ]
    assert (tmp_path / "mine" / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("failure", "code"), [(KeyboardInterrupt(), 130), (OSError("No space left on device"), 2)]
)
def test_what_is_stopped_halfway_leaves_nothing(
    failure: BaseException, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    write, done = command.write_case, []

    def second_fails(case: Any, place: Path, onnx: bool) -> None:
        if done:
            raise failure
        done.append(case)
        write(case, place, onnx)

    monkeypatch.setattr(command, "write_case", second_fails)
    for out in (tmp_path / "new" / "folder", tmp_path / "empty"):
        done.clear()
        (tmp_path / "empty").mkdir(exist_ok=True)
        assert command.main([str(out), "--only", "T1"]) == code
        assert capsys.readouterr().err.strip().count("\n") == 0
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_a_file_that_comes_from_elsewhere_meanwhile_stays(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"README\.md has come"),
        filled(tmp_path / "out") as place,
    ):
        for name in ("a.npz", "README.md"):
            (place / name).write_text("ours")
        (tmp_path / "out" / "README.md").write_text("theirs")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["README.md"]
    assert (tmp_path / "out" / "README.md").read_text() == "theirs"


def test_help_and_refusals_import_no_framework(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    program = (
        "import sys; from harness.vectors.__main__ import main;"
        f"assert main([{str(tmp_path)!r}]) == 2;"
        "loaded = {'torch', 'tensorflow', 'keras', 'jax', 'onnx', 'mlflow'} & set(sys.modules);"
        "assert not loaded, loaded; main(['--help'])"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "python -m harness.vectors vectors --only gru" in done.stdout
