"""Print, for each backend and case, whether the kernel `sharded` agrees with NumPy's `loops`: a
program of its own, since XLA's number of devices is fixed when it starts.

    python -m tests.backends.sharded
"""

import json
from dataclasses import replace
from unittest.mock import patch

from backends import BackendFactory, Execution
from backends.jax_backend import JaxBackend, program
from backends.numpy_backend import NumpyBackend
from harness.core.errors import ConfigError
from harness.parity.stages import memory
from tests.support.agreement import check_forward, check_losses, check_stage
from tests.support.problems import Case

CASES = [
    Case("sharded-rnn", activation="relu", optimizer="adam", lr=0.01, replicas=2),
    Case("sharded-lstm", "lstm", layers=2, returns="every_step", optimizer="adam", clip=0.1),
    Case("sharded-gru", "gru", masked=True, optimizer="rmsprop", lr=0.01, weight_decay=0.1),
]
MASKED = Case("sharded-masked", masked=True, returns="every_step")
TWO = Execution(kernel="sharded", threads=2, batch=8)


def agrees(case: Case, backend: BackendFactory) -> bool:
    """Whether ten steps, a shorter batch among them, are those of whole batches to rounding."""
    problem = case.problem("float64", 10)
    expected = problem.build(NumpyBackend)
    actual = replace(problem, execution=TWO).build(backend)
    assert (expected.kernel, actual.kernel) == ("loops", "sharded")
    losses = [problem.train(backend, 0, 10) for backend in (expected, actual)]
    outputs = [backend.predict(*problem.batch(0)) for backend in (expected, actual)]
    one, other = expected.state(), actual.state()
    try:
        check_losses(losses[0], losses[1], "float64")
        check_forward(outputs[0], outputs[1], "float64")
        check_stage("weights", one.params, other.params, "float64")
        check_stage("optimiser slots", memory(one), memory(other), "float64")
    except AssertionError:
        return False
    return True


def refusal(case: Case, execution: Execution) -> str:
    """Return why the kernel refuses a case, or the empty string."""
    problem = replace(case.problem("float64", 1), execution=execution)
    try:
        problem.build(JaxBackend)
    except ConfigError as error:
        return str(error)
    return ""


def main() -> None:
    """Print the results as JSON."""
    found = {
        f"{backend.__name__}, {case.name}": agrees(case, backend)
        for backend in (NumpyBackend, JaxBackend)
        for case in CASES
    }
    # Each shard on its own: what the means over shards are for.
    with patch.object(program, "mean_over_shards", lambda values, _rules: values):
        program.free_programs()
        found["without means"] = agrees(CASES[0], JaxBackend)
    refused = {
        "masked": refusal(MASKED, TWO),
        "odd": refusal(CASES[0], replace(TWO, batch=7)),
        "threads": refusal(CASES[0], replace(TWO, threads=4, batch=8)),
    }
    print(json.dumps({"agrees": found, "refused": refused}))


if __name__ == "__main__":
    main()
