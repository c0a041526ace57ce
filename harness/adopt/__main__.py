"""`harness adopt`: make a run of a trained network in a file of Keras, PyTorch, JAX or ONNX.

The file is read as data. Its own framework runs it once, in a process of its own, and only if the
NumPy reference gives the same is anything written. The run trains for no epoch: it has the
network's weights and its predictions, in MLflow, too, and any backend can train it on.
"""

import sys
from pathlib import Path

from harness.adopt.arguments import parser
from harness.adopt.settings import FOLDER, Adopted, write_pieces
from harness.config.compose import compose
from harness.config.overrides import key_of
from harness.console import streams
from harness.console.command_line import shell_line
from harness.console.terminal import console
from harness.core.errors import ConfigError
from harness.core.tolerances import LIMITS
from harness.readers.foreign_network import Stated
from harness.readers.from_file import read_file
from harness.readers.proof import Different, prove
from harness.runs.identity import Identity
from harness.runs.names import single_name
from harness.runs.new_run import new_run
from harness.runs.resume import command
from harness.runs.run import Result, run
from harness.runs.summary import show
from harness.system import signals

# Settings that the file decides.
FIXED = ("task", "task.path", "task.loss", "model", "precision", "replicas", "seed", "resume")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    streams.prepare()
    try:
        _adopt(arguments)
        return 0
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except Different as error:
        print(f"Not adopted: {error}.", file=sys.stderr)
        return 1


def _adopt(arguments: list[str] | None) -> None:
    options = parser().parse_intermixed_args(arguments)
    for word in options.overrides:
        if key_of(word) in FIXED or key_of(word).startswith("model."):
            raise ConfigError(f"{word}: the file decides this; leave it out.")
    path = Path(options.file)
    stated = Stated(**{name: getattr(options, name) for name in Stated.__dataclass_fields__})
    foreign = read_file(path, stated)
    adopted = Adopted(path=path, foreign=foreign, difference=prove(path, foreign))
    data = None if options.data is None else Path(options.data).absolute()
    result = _run(adopted, options.overrides, data)
    _show(adopted, result, has_data=data is not None)


def _run(adopted: Adopted, overrides: list[str], data: Path | None) -> Result:
    """Carry the run out that has the network's weights."""
    results = compose(overrides).results
    with new_run(results) as directory:
        words = write_pieces(adopted, directory, data) + overrides
        config = compose(words)
        identity = Identity(
            name=f"{adopted.path.name}·{single_name(config, [])}",
            directory=directory,
            overrides=words,
            shows_progress=False,
            tags=adopted.tags,
            files=tuple(f"{FOLDER}/{path.name}" for path in sorted((directory / FOLDER).iterdir())),
        )
        return run(config, identity)


def _show(adopted: Adopted, result: Result, has_data: bool) -> None:
    network = adopted.foreign.network
    limit = LIMITS[network.precision].forward
    print(f"{network.title}\n{network.origin}")
    for note in adopted.foreign.notes:
        print(f"  {note}")
    print(
        f"Its own framework's outputs on random inputs differ from the NumPy reference's by "
        f"{adopted.difference:.1e}\nof the largest (limit in {network.precision}: {limit:g}).\n"
    )
    show(result, console())
    directory, results = result.directory, result.plan.config.results
    train = command(directory, results, ["trainer.epochs=10", "backend=torch"])
    if not has_data:
        train = "give --data FILE.npz: now the targets are the network's own outputs"
    export = shell_line(["python", "-m", "harness.export", str(directory), "--to", "keras"])
    print(f"  train    {train}\n  export   {export}")


if __name__ == "__main__":
    sys.exit(signals.run_command(main))
