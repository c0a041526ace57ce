"""The rules as data: presets are complete, values are checked, and the table in docs is current."""

from dataclasses import fields, replace

import numpy as np
import pytest

from backends.numpy_backend import NumpyBackend
from harness.config.semantics_table import PRESETS, preset, table
from harness.core.errors import ConfigError
from harness.core.optimizers import Adam, RmsProp
from harness.core.semantics import RULES, SHARE, Semantics
from tests.support import ROOT
from tests.support.problems import Case

DOCS = ROOT / "docs" / "semantics.md"


def test_table_in_docs_is_what_the_dataclass_says() -> None:
    assert DOCS.read_text(encoding="utf-8") == table(), (
        "run: python -m harness.config.semantics_table > docs/semantics.md"
    )


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_named_as_its_file(name: str) -> None:
    assert preset(name).name == name


def test_every_field_but_the_name_is_a_rule_with_meaning_and_source() -> None:
    assert list(RULES) == [field.name for field in fields(Semantics)][1:]
    for name, declared in RULES.items():
        assert declared["meaning"], name
        assert declared["source"], name
        assert bool(declared["accepted"]) != bool(declared["within"]), name


@pytest.mark.parametrize("name", [n for n, declared in RULES.items() if declared["accepted"]])
def test_unknown_word_is_refused_with_the_valid_ones(name: str) -> None:
    with pytest.raises(ConfigError, match=f"semantics.{name}=sideways: must be one of") as refused:
        replace(preset("matched"), **{name: "sideways"})
    for word in RULES[name]["accepted"]:
        assert word in str(refused.value)


@pytest.mark.parametrize("name", [n for n, declared in RULES.items() if declared["within"]])
def test_number_outside_its_range_is_refused(name: str) -> None:
    outside = float("inf") if name == "forget_bias" else -1.0
    with pytest.raises(ConfigError, match=f"semantics.{name}="):
        replace(preset("matched"), **{name: outside})


@pytest.mark.parametrize("name", ["adam_eps", "rmsprop_eps"])
@pytest.mark.parametrize("value", [0.0, 1e-38])
def test_an_epsilon_that_keeps_nothing_from_dividing_by_zero_is_refused(
    name: str, value: float
) -> None:
    with pytest.raises(ConfigError, match=f"semantics.{name}=.*: .*at least 1e-37") as refused:
        replace(preset("matched"), **{name: value})
    assert "\n" not in str(refused.value)
    assert replace(preset("matched"), clip_eps=0.0).clip_eps == 0.0


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("place", ["adam-corrected", "adam-uncorrected", "rmsprop-inside"])
def test_the_least_epsilon_keeps_a_gradient_of_zero_from_spoiling_weights(
    place: str, precision: str
) -> None:
    name, _, where = place.partition("-")
    rules = ((f"{name}_eps", 1e-37), (f"{name}_eps_place", where))
    problem = Case("epsilon", optimizer=name, rules=rules).problem(precision, 4)
    problem.data.x[..., 0] = 0.0  # a feature whose weights have no gradient at all
    backend = problem.build(NumpyBackend)
    before = problem.state.params["rnn.0.kernel"][:, 0]
    for batch, lr in zip(problem.batches, problem.lr, strict=True):
        backend.train_epoch(batch[None], lr[None])
    kernel = backend.state().params["rnn.0.kernel"]
    assert np.isfinite(kernel).all()
    np.testing.assert_array_equal(kernel[:, 0], before)


def test_the_bound_of_what_is_kept_is_below_1_in_float32_and_is_written_in_full() -> None:
    rules = preset("matched")
    kept = replace(rules, rmsprop_rho=SHARE.high)
    assert np.float32(kept.rmsprop_rho) < 1
    refusals = {
        "semantics.rmsprop_rho": lambda: replace(rules, rmsprop_rho=1.0),
        "optimizer.beta1": lambda: Adam(
            name="adam", lr=0.1, weight_decay=0.0, beta1=1.0, beta2=0.9
        ),
        "optimizer.beta2": lambda: Adam(
            name="adam", lr=0.1, weight_decay=0.0, beta1=0.9, beta2=1.0
        ),
        "optimizer.rho": lambda: RmsProp(name="rmsprop", lr=0.1, weight_decay=0.0, rho=1.0),
    }
    for key, refused in refusals.items():
        with pytest.raises(ConfigError, match=rf"^{key}=1: must be from 0 to 0\.9999999\.$"):
            refused()


def test_the_table_says_of_ranges_what_a_refusal_says() -> None:
    for name, declared in RULES.items():
        if declared["within"] and name != "forget_bias":
            with pytest.raises(ConfigError) as refused:
                replace(preset("matched"), **{name: -1.0})
            valid = str(refused.value).partition("must be ")[2].removesuffix(".")
            [row] = [r for r in table().splitlines() if r.startswith(f"| `{name}` |")]
            assert f"| {valid} |" in row
