"""Parameter counts, names and initial weights: the first gate of agreement."""

import math
from dataclasses import replace

import numpy as np
import pytest

from backends import Backend
from harness.core.initializers import initial_params
from harness.core.model import ModelSpec, Params, count_params, param_formulas, shapes
from harness.training.checkpoints import fresh_state
from tests.support.problems import MATCHED, Case


def spec(cell: str, features: int, units: int, outputs: int = 0, layers: int = 1) -> ModelSpec:
    """A network with a head where `outputs` is given."""
    head = "dense" if outputs else "none"
    biases = "double" if cell == "gru" else "single"
    return ModelSpec(
        cell=cell,
        features=features,
        units=units,
        layers=layers,
        activation="tanh",
        returns="last",
        head=head,
        outputs=outputs or units,
        biases=biases,
    )


COUNTS = [
    (spec("rnn", 1, 32, outputs=1), 1_121),
    (spec("rnn", 1, 50, outputs=2), 2_702),
    (spec("rnn", 1, 8), 80),
    (spec("lstm", 1, 8), 320),
    (spec("gru", 1, 8), 264),
    (spec("lstm", 1, 8, outputs=3), 320 + 27),
    (replace(spec("rnn", 1, 8), biases="double"), 88),  # PyTorch's
    (replace(spec("lstm", 1, 8), biases="double"), 352),
    (replace(spec("gru", 1, 8), biases="candidate"), 248),  # flax'
    (replace(spec("gru", 1, 8), biases="single", reset="before"), 240),  # Keras' reset_after=False
    (spec("rnn", 2, 8, layers=3), 88 + 2 * 136),
]
COUNT_IDS = [f"{model.cell}-{model.layers}-layers-{expected}" for model, expected in COUNTS]


@pytest.mark.parametrize(("model", "expected"), COUNTS, ids=COUNT_IDS)
def test_parameter_count(model: ModelSpec, expected: int) -> None:
    assert count_params(model) == expected
    assert param_formulas(model).keys() >= shapes(model).keys()


@pytest.mark.parametrize(("model", "expected"), COUNTS, ids=COUNT_IDS)
def test_backend_trains_as_many_parameters(
    backend: type[Backend], model: ModelSpec, expected: int
) -> None:
    problem = Case("counts").problem("float64")
    params = initial_params(model, MATCHED, [0], "float64")
    data = replace(problem.data, x=np.zeros((1, 5, 4, model.features)))
    state = fresh_state(params, problem.training)
    own = backend(model, problem.training, data, state)
    assert own_count(own) == expected
    assert sum(value[0].size for value in own.state().params.values()) == expected


def own_count(backend: Backend) -> int:
    """The trained parameters of one replica, as the backend itself holds them: in one tensor
    `(R, P)`, but in JAX."""
    parts = vars(backend)
    for name in ("weights", "flat"):
        if name in parts:
            return int(parts[name].shape[1])
    return sum(value[0].size for value in parts["params"].values())


# ------------------------------------------------------------------------------- initial weights

CELLS = ["rnn", "lstm", "gru"]


def draw(cell: str, seeds: list[int], dtype: str = "float64") -> Params:
    return initial_params(spec(cell, 5, 12, outputs=3, layers=2), MATCHED, seeds, dtype)


@pytest.mark.parametrize("cell", CELLS)
def test_kernels_fill_glorots_range(cell: str) -> None:
    params = draw(cell, list(range(20)))
    for name in ("rnn.0.kernel", "rnn.1.kernel", "head.kernel"):
        value = params[name]
        limit = math.sqrt(6 / (value.shape[1] + value.shape[2]))
        assert 0.99 * limit < np.abs(value).max() <= limit
        assert value.std() == pytest.approx(limit / math.sqrt(3), rel=0.05)
        assert abs(value.mean()) < 0.1 * limit


@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_kernel_has_orthonormal_rows(cell: str) -> None:
    for seed in range(5):
        U = draw(cell, [seed])["rnn.1.recurrent_kernel"][0]  # all gates side by side
        np.testing.assert_allclose(U @ U.T, np.eye(12), atol=1e-14)


def test_orthogonal_draw_has_no_preferred_sign() -> None:
    """Plain QR fixes the signs of R's diagonal and so the distribution (Mezzadri 2007)."""
    U = draw("rnn", list(range(400)))["rnn.0.recurrent_kernel"]
    assert abs((U[:, 0, 0] > 0).mean() - 0.5) < 0.1
    assert abs(U.trace(axis1=1, axis2=2).mean()) < 0.2


@pytest.mark.parametrize("cell", CELLS)
def test_biases_are_zero_but_the_forget_gates(cell: str) -> None:
    params = draw(cell, [0, 1])
    for name in ("rnn.0.bias", "rnn.1.bias", "head.bias"):
        expected = np.zeros_like(params[name])
        if cell == "lstm" and name != "head.bias":
            expected[:, 12:24] = 1.0
        np.testing.assert_array_equal(params[name], expected)


@pytest.mark.parametrize("cell", CELLS)
def test_weights_follow_from_the_seed_alone(cell: str) -> None:
    together = draw(cell, [3, 4, 5])
    for r, seed in enumerate((3, 4, 5)):
        for name, value in draw(cell, [seed]).items():
            np.testing.assert_array_equal(together[name][r : r + 1], value)


@pytest.mark.parametrize("cell", CELLS)
def test_seed_zero_is_a_seed(cell: str) -> None:
    zero, again, one = draw(cell, [0]), draw(cell, [0]), draw(cell, [1])
    for name in zero:
        np.testing.assert_array_equal(zero[name], again[name])
        assert name.endswith("bias") or (zero[name] != one[name]).any()


@pytest.mark.parametrize("cell", CELLS)
def test_float32_weights_are_the_float64_ones_rounded(cell: str) -> None:
    wide, narrow = draw(cell, [0, 1]), draw(cell, [0, 1], "float32")
    for name, value in narrow.items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, wide[name].astype(np.float32))


@pytest.mark.parametrize("cell", CELLS)
def test_names_and_shapes(cell: str) -> None:
    gates = {"rnn": 1, "lstm": 4, "gru": 3}[cell] * 12
    bias = (2, gates) if cell == "gru" else (gates,)
    assert shapes(spec(cell, 5, 12, outputs=3, layers=2)) == {
        "rnn.0.kernel": (5, gates),
        "rnn.0.recurrent_kernel": (12, gates),
        "rnn.0.bias": bias,
        "rnn.1.kernel": (12, gates),
        "rnn.1.recurrent_kernel": (12, gates),
        "rnn.1.bias": bias,
        "head.kernel": (12, 3),
        "head.bias": (3,),
    }
