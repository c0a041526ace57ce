"""Read a finished run's trained network from its directory."""

from pathlib import Path

from safetensors import safe_open
from safetensors.numpy import load_file

from harness.config.damaged_files import reading
from harness.core import file_names
from harness.core.errors import ConfigError
from harness.core.model import ModelSpec, shapes
from harness.formats.trained_network import Network
from harness.runs.checksums import check_file
from harness.runs.missing_weights import why_no_weights
from harness.runs.network_file import one_replica
from harness.runs.network_file import read_network as read_network_file
from harness.tracking.journal import last

# What is fetched of a run whose directory is gone.
NEEDED = (file_names.CONFIG, file_names.NETWORK, file_names.WEIGHTS)


def read_network(directory: Path, replica: int) -> Network:
    """Read one replica of a run; raise `ConfigError` if the run has no final weights for it."""
    weights, facts = directory / file_names.FINAL_WEIGHTS, directory / file_names.NETWORK
    if not weights.exists():
        name = file_names.FINAL_WEIGHTS
        raise ConfigError(f"{directory}: has no {name}: {why_no_weights(directory)}.")
    if not facts.exists():
        raise ConfigError(f"{directory}: has no {facts.name}; train it again to export it.")
    for path in (file_names.NETWORK, file_names.FINAL_WEIGHTS):
        check_file(directory, path)
    with reading(facts):
        network = read_network_file(facts)
    with reading(weights):
        _check_shapes(weights, network.model)
        params = load_file(weights)
        replicas = len(params["rnn.0.kernel"])
    if not 0 <= replica < replicas:
        valid = "0, the run has one replica" if replicas == 1 else f"from 0 to {replicas - 1}"
        raise ConfigError(f"--replica {replica}: must be {valid}.")
    start = last(directory, "start") or {}
    origin = f"Trained as {start.get('name', directory.name)}, replica {replica} of {replicas}."
    weights_of_one = {name: value[replica] for name, value in params.items()}
    return one_replica(network, weights_of_one, replica, origin)


def _check_shapes(weights: Path, model: ModelSpec) -> None:
    """Raise `ValueError` unless the file has the model's arrays; nothing is read but its header."""
    with safe_open(weights, "np") as file:
        found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    if model.layers > len(found):  # which may be a billion
        raise ValueError(f"it has {len(found)} arrays, and the model {model.layers} layers")
    replicas = {shape[0] for shape in found.values() if shape}
    wanted = {name: (*replicas, *shape) for name, shape in shapes(model).items()}
    if len(replicas) != 1 or found != wanted:
        raise ValueError(f"its arrays {found} are not those of the model, {wanted}")
