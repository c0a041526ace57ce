"""`python -m harness.vectors OUT`: its files are described, its page's own code checks them, and it
leaves alone what it did not write."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.core.errors import ConfigError
from harness.vectors import __main__ as command
from harness.vectors.cases import CASES
from harness.vectors.optimizers import RULES
from harness.vectors.placing import filled
from tests.support import ROOT
from tests.vectors.reading import read

NAMES = [case.name for case in CASES]


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
            assert losses[0] == v["loss"], f"{name} {optimizer}"
            assert losses[-1] < losses[0], f"{name} {optimizer}"


def test_padding_plays_no_part(written: Path) -> None:
    v, _ = read(written, "gru_reset_after-one_bias-stacked_ragged")
    padding = ~v["mask"]
    assert v["x"][padding].all()
    assert v["y"][padding].all()
    assert not v["gradients/x"][padding].any()
    assert v["lengths"].min() == 1
    assert v["lengths"].max() == v["x"].shape[1]


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
    assert ".onnx" not in page
    assert all(f"- `{name}`\n" in page for name in names)


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
    assert line.lower().startswith(said.lower())
    assert line.count("\n") == 1
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
    with (  # noqa: PT012 - the work is what is tested
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
    assert "harness vectors gru --only gru" in done.stdout
