"""Planted mistakes are named: each alone, every eleventh pair; and nothing is named where none is.

`python -m tests.diff.planted` tries all pairs.
"""

from dataclasses import replace

import numpy as np
import pytest

from harness.config.semantics_table import preset
from harness.core.initializers import initial_params
from harness.diff.comparison import Comparison
from harness.diff.fresh import uncopied
from harness.diff.inputs import Inputs, random_inputs
from harness.diff.sentences import no_answer, sentence
from harness.formats.trained_network import Network
from tests.diff.networks import CELLS, network
from tests.diff.planted import computed, inputs, mixed, pairs, shuffled, singles

PART = 11
# Without a bound the states of a GRU overflow: there is nothing to compare.
OVERFLOWS = {("gru", "with relu in its gates")}


def compared(a: Network, b: Network) -> Comparison:
    return Comparison(a=a, b=b, inputs=random_inputs([a, b]))


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
@pytest.mark.parametrize("cell", CELLS)
def test_each_mistake_is_named(cell: str) -> None:
    for tried in (*singles(cell), *shuffled(cell), *computed(cell)):
        assert tried.named or (cell, *tried.said) in OVERFLOWS, (tried.group, tried.said)


@pytest.mark.parametrize("cell", CELLS)
def test_pairs_are_named(cell: str) -> None:
    found = [*pairs(cell, PART), *mixed(cell, PART)]
    assert len(found) > 10
    assert [tried.said for tried in found if not tried.named] == []


@pytest.mark.parametrize("cell", CELLS)
def test_a_network_is_the_same_as_itself(cell: str) -> None:
    found = compared(network(cell), network(cell))
    assert found.same
    assert found.copied
    assert found.place is None


@pytest.mark.parametrize("cell", CELLS)
def test_an_epoch_more_is_no_known_mistake(cell: str) -> None:
    found = compared(network(cell), network(cell, "trainer.epochs=4"))
    assert not found.same
    assert found.answers() == found.reversed_answers() == []
    assert "No known mistake" in no_answer(found.nearest())
    assert "Nearest is A itself" in no_answer(found.nearest())


@pytest.mark.parametrize("rule", ["glorot_uniform", "lecun_normal", "uniform_units", "orthogonal"])
@pytest.mark.parametrize("form", ["fused", "each"])
def test_the_initialiser_of_a_tensor_is_named(rule: str, form: str) -> None:
    a = network("gru")
    model = replace(a.model, features=32, units=32)
    semantics = replace(preset("matched"), kernel_init=rule, recurrent_init=rule, init_gates=form)
    drawn = initial_params(model, semantics, [0, 1], "float32")["rnn.0.recurrent_kernel"]
    found = uncopied("rnn.0.recurrent_kernel", drawn[0], drawn[1], model)
    assert found is not None
    by_gate = " by gate" if form == "each" and rule in ("glorot_uniform", "orthogonal") else ""
    assert f"({rule}{by_gate})" in found.phrase
    grown = 1.5 * drawn[1] ** 3 / drawn[1].std() ** 2
    assert uncopied("rnn.0.recurrent_kernel", drawn[0], grown, model) is None
    further_trained = drawn[0] + 0.3 * drawn[1]
    assert uncopied("rnn.0.recurrent_kernel", drawn[0], further_trained, model) is None


@pytest.mark.parametrize("share", [0.5, 2.0])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_difference_is_seen_above_the_limit_alone(share: float, precision: str) -> None:
    a = network("lstm", f"precision={precision}")
    limit = {"float32": 1e-5, "float64": 1e-12}[precision]
    outputs = compared(a, a).measure.computed.outputs
    largest = np.abs(outputs - a.y_mean).max()
    compared_outputs = outputs.copy()
    compared_outputs.flat[3] += share * limit * largest
    found = Comparison(a=a, b=a, inputs=random_inputs([a, a]), given=compared_outputs)
    assert found.same == (share < 1)


def test_a_weight_that_is_moved_by_rounding_alone_is_equal() -> None:
    a = network("gru")
    moved = {n: np.nextafter(v, np.float32(9)) for n, v in a.weights.items()}
    assert compared(a, replace(a, weights=moved)).copied
    kernel = a.weights["rnn.1.kernel"].copy()
    kernel[2, 3] += 1e-6 * np.abs(kernel).max()  # 8 units in the last place
    found = compared(a, replace(a, weights={**a.weights, "rnn.1.kernel": kernel}))
    assert found.weights.differing() == ["rnn.1.kernel"]


def test_where_rounding_leads_far_the_band_decides() -> None:
    a = network("rnn")
    steep = {n: 4 * v if "recurrent_kernel" in n else v for n, v in a.weights.items()}
    a = replace(a, weights=steep)  # a unit in the last place grows at every step
    b = replace(a, weights={n: np.nextafter(v, np.float32(9)) for n, v in steep.items()})
    x = np.random.default_rng(3).normal(size=(4, 24, 8))
    found = Comparison(a=a, b=b, inputs=Inputs(x, np.ones((4, 24), bool)))
    limit = 1e-5 * np.abs(found.measure.computed.outputs - a.y_mean).max()
    apart = np.abs(found.theirs.outputs - found.measure.computed.outputs).max()
    assert limit < apart
    assert found.difference.judged
    assert found.same


def test_the_place_is_the_first_time_step_layer_and_gate() -> None:
    a = network("lstm")
    bias = a.weights["rnn.1.bias"].copy()
    bias[8:16] += 0.3
    recurrent = a.weights["rnn.0.recurrent_kernel"].copy()
    recurrent[:, 24:] += 0.3
    found = compared(a, replace(a, weights={**a.weights, "rnn.1.bias": bias})).place
    assert found is not None
    # The forget gate acts on the state before, which is zero at step 0.
    assert (found.time_step, found.layer, list(found.gates)) == (1, "layer 1", ["f"])
    changed = {**a.weights, "rnn.0.recurrent_kernel": recurrent, "rnn.1.bias": bias}
    found = compared(a, replace(a, weights=changed)).place
    assert found is not None
    assert (found.time_step, found.layer, list(found.gates)) == (1, "layer 0", ["o"])


def test_two_explanations_that_fit_are_both_given() -> None:
    a = network("rnn")
    bias = {n: np.zeros_like(v) if n.startswith("rnn.1.") and "bias" in n else v
            for n, v in a.weights.items()}  # fmt: skip
    found = Comparison(a=a, b=replace(a, weights=bias), inputs=inputs()).answers()
    phrases = {mistake.phrase for answer in found for mistake in answer.copied}
    assert phrases == {"the bias dropped", "rnn.1.bias not copied: it is as initialised (zeros)"}


def test_what_was_done_to_a_is_found_too() -> None:
    b = network("gru")
    weights = {
        n: np.zeros_like(v) if n.startswith("rnn.0.bias") else v for n, v in b.weights.items()
    }
    found = compared(replace(b, weights=weights), b)
    assert found.answers() == []
    said = [sentence(answer, "B", "A") for answer in found.reversed_answers()]
    assert said == ["A is B with the bias dropped: add it in rnn.0.bias."]


def test_numbers_in_other_places_are_no_known_mistake() -> None:
    a = network("lstm")
    weights = {n: v[::-1] if n == "rnn.0.kernel" else v for n, v in a.weights.items()}
    found = compared(a, replace(a, weights=weights))
    assert not found.same
    assert found.answers() == found.reversed_answers() == []


def test_weights_that_are_no_numbers_are_compared() -> None:
    a = network("lstm")
    kernel = a.weights["rnn.1.kernel"].copy()
    kernel[0, 0] = np.nan
    b = replace(a, weights={**a.weights, "rnn.1.kernel": kernel})
    found = compared(a, b)
    assert not found.same
    assert found.weights.differing() == ["rnn.1.kernel"]
    assert found.answers() == found.reversed_answers() == []
    assert compared(b, b).copied
