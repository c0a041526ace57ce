"""`model.weights=FILE`: training starts from these weights, and from no others."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from harness.core.errors import ConfigError
from harness.core.model import Params
from harness.runs.run_key import run_key
from harness.training.plan import Plan, prepare
from tests.support.configs import config

WORDS = ("task=sum", "task.samples=20", "model=lstm", "model.units=3", "precision=float64")


def plan(*words: str) -> Plan:
    return prepare(config(*WORDS, *words))


def saved(path: Path, params: Params) -> str:
    save_file({name: np.ascontiguousarray(values) for name, values in params.items()}, path)
    return f"model.weights={path}"


def test_replicas_get_their_own_or_the_same(tmp_path: Path) -> None:
    own = plan("replicas=2", "seed=7").start.params
    word = saved(tmp_path / "own.safetensors", own)
    for name, values in plan("replicas=2", word).start.params.items():
        np.testing.assert_array_equal(values, own[name])
    word = saved(tmp_path / "one.safetensors", {n: v[:1] for n, v in own.items()})
    for name, values in plan("replicas=3", word, "precision=float32").start.params.items():
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, np.repeat(own[name][:1], 3, 0).astype(np.float32))


def test_a_run_is_known_by_its_weights_wherever_they_are(tmp_path: Path) -> None:
    params = plan("seed=7").start.params
    words = [saved(tmp_path / name, params) for name in ("a.safetensors", "b.safetensors")]
    params["head.bias"] += 1e-9
    words.append(saved(tmp_path / "c.safetensors", params))
    first, second, third = (run_key(plan(word)) for word in words)
    assert first == second != third


def test_unfit_files(tmp_path: Path) -> None:
    params = plan().start.params
    path = tmp_path / "w.safetensors"
    integers = {name: values.astype(np.int32) for name, values in params.items()}
    without = {name: values for name, values in params.items() if name != "head.bias"}
    for changed, words, message in (
        (params, ["model.units=4"], "rnn.0.kernel is (1, 1, 12); "),
        (params, ["model=gru"], "must be (1, 1, 9)"),
        (params, ["replicas=3"], ""),
        (without, [], "head.bias is missing"),
        (params | {"rnn.1.kernel": params["rnn.0.kernel"]}, [], "rnn.1.kernel the file has"),
        (integers, [], "is I32; it must be float32 or float64"),
        (params | {"head.bias": np.array([[np.nan]])}, [], "or NaN"),
        (params | {"head.bias": np.array([[1e300]])}, ["precision=float32"], "cannot hold"),
    ):
        word = saved(path, changed)
        if not message:
            plan(word, *words)
            continue
        with pytest.raises(ConfigError) as error:
            plan(word, *words)
        assert message in str(error.value)
        assert str(error.value).startswith(f"{word}: ")


def test_no_file_and_a_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(ConfigError, match="there is no such file"):
        plan(f"model.weights={path}")
    saved(path, plan().start.params)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ConfigError, match="is damaged"):
        plan(f"model.weights={path}")
