"""A command that cannot be run is refused in one line, at once, and leaves nothing behind.

Decides on the program's own entry: the exit code, the one line on standard error (which key, what
it received, what would be valid), that no framework and no MLflow was imported, and that no run
directory and no database is left. `tests/config/test_config.py` decides on the checks themselves.
"""

import re
from pathlib import Path

import pytest

from tests.support.command_lines import Ending, run_all

pytestmark = pytest.mark.slow

# A command line, then what the line must hold: the key with the value received, what is valid.
BAD = [
    (["replicas=1000000000"], "replicas=1000000000", "needs at least"),
    (["model.units=1000000"], "model.units=1000000", "choose less"),
    (["task.samples=100000000000"], "task.samples=100000000000", "choose less"),
    (["backend=torch", "backend.kernel=xla"], "backend.kernel=xla", "modules, stacked, compiled"),
    (["task=summ"], "task=summ", "Did you mean 'sum'?"),
    (["task=notebook/summ"], "task=notebook/summ", "notebook/sum"),
    (["backend=tensorflow"], "backend=tensorflow", "keras, numpy, torch"),
    (["backend=torhc"], "backend=torhc", "Did you mean 'torch'?"),
    (["model=lsmt"], "model=lsmt", "Did you mean 'lstm'?"),
    (["optimizer=adamw"], "optimizer=adamw", "Did you mean 'adam'?"),
    (["semantics=match"], "semantics=match", "Did you mean 'matched'?"),
    (["tracking=wandb"], "tracking=wandb", "journal, mlflow"),
    (["experiment=notebook_sums"], "experiment=notebook_sums", "Did you mean 'notebook_sum'?"),
    (["trainer=fast"], "trainer=fast", "default"),
    (["trainer.epoch=3"], "trainer.epoch:", "Did you mean 'trainer.epochs'?"),
    (["bakcend=torch"], "bakcend:", "Did you mean 'backend'?"),
    (["foo=1"], "foo:", "replicas"),
    (["+foo=1"], "foo:", "replicas"),
    (["+trainer.foo=1"], "trainer.foo:", "epochs"),
    (["optimizer.momentum=0.9"], "optimizer.momentum", "sgd"),
    (["backend.packages={no_such_module: some-package}"], "backend.packages", ""),
    (["~task"], "task:", "choose one with task="),
    (["~trainer.epochs"], "trainer.epochs:", "give it a value"),
    (["foo"], "foo:", "KEY=VALUE"),
    (["=3"], "=3:", "KEY=VALUE"),
    (["task=sum", "model=lstm", "=3"], "=3: must", "KEY=VALUE"),
    ([""], "'': must", "KEY=VALUE."),
    (["model=lstm", "+"], "+: must", "KEY=VALUE."),
    (["-m", "seed=1,2", ""], "'': must", "KEY=VALUE."),
    (["trainer=null"], "trainer", "trainer="),
    (["model=lstm", "trainer=3"], "trainer=3", "trainer=… with default"),
    (["task=sum,binary"], "task=sum,binary:", "add -m, or give one value such as task=sum."),
    (["seed=choice(1,2)"], "seed=choice(1,2):", "add -m"),
    (["--nosuchflag"], "--nosuchflag: no such option", "harness --help"),
    (["--config-dir"], "--config-dir/-cd: needs a value", "harness --help"),
    (["hydra.run.dir=file/x"], "hydra.run.dir: cannot write there", "hydra.run.dir=FOLDER"),
    (["-m", "seed=1,2", "hydra.sweep.dir=file/x"], "hydra.sweep.dir: cannot", "sweep.dir=FOLDER"),
    (["trainer.epochs=-1"], "trainer.epochs=-1", "at least 0"),
    (["trainer.epochs=abc"], "trainer.epochs=abc", "a whole number"),
    (["trainer.epochs=1.5"], "trainer.epochs=1.5", "a whole number"),
    (["trainer.epochs="], "trainer.epochs=", "a whole number"),
    (["trainer.epochs=${nope}"], "trainer.epochs", "nope"),
    (["tracking.uri=${nope}"], "tracking.uri:", "'nope' not found."),
    (["hydra.run.dir=${nope}"], "hydra.run.dir:", "'nope' not found."),
    (["trainer.shuffle=maybe"], "trainer.shuffle=maybe", "true or false"),
    (["trainer.schedule=cosin"], "trainer.schedule=cosin", "Did you mean 'cosine'?"),
    (["trainer.patience=3", "task.val_fraction=0"], "trainer.patience=3", "task.val_fraction"),
    (["model.units=0"], "model.units=0", "at least 1"),
    (["model=lstm", "model.activation=relu"], "model.activation=relu", "tanh"),
    (["model.head=none"], "model.units=32", "model.units=1"),
    (["model.returns=every_step"], "model.returns=every_step", "use last"),
    (["replicas=0"], "replicas=0", "at least 1"),
    (["seed=-1"], "seed=-1", "at least 0"),
    (["threads=0"], "threads=0", "a whole number from 1 to 1024, or auto"),
    (["precision=float16"], "precision=float16", "float32, float64"),
    (["optimizer.lr=nan"], "optimizer.lr=nan", "finite"),
    (["semantics.adam_eps=0"], "semantics.adam_eps=0", "at least 1e-37"),
    (["semantics.rmsprop_eps=1e-40"], "semantics.rmsprop_eps=1e-40", "at least 1e-37"),
    (["semantics.rmsprop_rho=1"], "semantics.rmsprop_rho=1", "from 0 to 0.9999999"),
    (["optimizer.beta2=1"], "optimizer.beta2=1", "from 0 to 0.9999999"),
    (["semantics.biases=triple"], "semantics.biases=triple", "single, double"),
    (["tracking.flush_seconds=-1"], "tracking.flush_seconds=-1", "at least 0"),
    (["task.samples=2"], "task.samples=2", "val split empty"),
    (["task=next_value", "task.samples=12"], "task.samples=12", "val split empty"),
    (["task.val_fraction=0.5", "task.test_fraction=0.5"], "task.test_fraction=0.5", "below 1"),
    (["experiment=notebook_forward", "trainer.epochs=1"], "trainer.epochs=1", "only 0"),
    (["task._target_=nope.Nope"], "task._target_=nope.Nope", "class"),
    (["device=gpu"], "device=gpu", "auto, cpu, cuda"),
    (["device=cuda"], "device=cuda", "device=cpu"),
    (["device=cuda", "backend=torch"], "device=cuda", "device=cpu"),
    (["+backend.packages.no_such_module=some-package"], "numpy", "pip install some-package"),
    (["results=file"], "file", "results=FOLDER"),
    (["results=file/below"], "file/below", "results=FOLDER"),
    (["results=null"], "results=null", "a word"),
    (["-m", "trainer.epoch=1,2"], "trainer.epoch:", "Did you mean 'trainer.epochs'?"),
    (["-m", "backend=numpy,torhc"], "backend=torhc", "Did you mean 'torch'?"),
    (["-m", "foo"], "foo:", "KEY=VALUE"),
    (["-m", "seed=0,1", "model.units=4,abc"], "model.units=abc:", "a whole number"),
    (["-m", "model.units=abc,4", "trainer.epochs=-1,2"], "model.units=abc:", "a whole number"),
    (["-m", "seed=0,1", "model.units=abc"], "model.units=abc:", "a whole number"),
    (["-m", "sweep.file=none.yaml"], "sweep.file=none.yaml", "no such file"),
    (["-m", "sweep.file=a.yaml,b.yaml"], "sweep.file:", "one value"),
    (["-m", "sweep.file=a.yaml", "sweep.resume=last"], "sweep.file=a.yaml", "leave it out"),
    (
        ["-m", "sweep.file=a.yaml", "hydra/sweeper=basic"],
        "sweep.file=a.yaml",
        "hydra/sweeper=quick",
    ),
    (["sweep.file=a.yaml"], "sweep.file=a.yaml", "add -m"),
    (["-m", "results=a,b"], "results=a:", "start a sweep for each"),
    (["-m", "tracking.uri=a,b", "tracking=journal"], "tracking.uri=a:", "start a sweep for each"),
    (["-m", "hydra.sweep.dir=a,b"], "hydra.sweep.dir=a,b:", "start a sweep for each"),
    (["-m", "seed=0,1", "hydra.sweep.subdir=a"], "hydra.sweep.subdir: jobs 0 and 1", "job.num"),
    (["-m", "task=glob(nope*)"], "task=glob(nope*): matches nothing", "binary, curve"),
    (["-m", "seed=glob(*)"], "seed=glob(*): matches nothing", "no group of options"),
    (["-m", "seed=range(1000000000)"], "seed=range(1000000000)", "more than 100,000 jobs"),
    (["-m", "optimizer.lr=interval(0.1,1)"], "interval(0.1,1)", "as in optimizer.lr=0.1,1."),
    (["+task.loss=mse"], "task.loss: there is no such key", "samples"),
    (["results=a,b"], "results=a,b: several", "\"results='a,b'\""),
    (["task.name=f(x, y)"], "task.name=f(x, y): Hydra cannot", "\"task.name='f(x, y)'\""),
    (
        ["-m", "task=sum,next_value", "task.window=5"],
        "task.window: task=sum has",
        "task=multi_step",
    ),
    (["tracking.uri=./mlruns"], "tracking.uri=./mlruns: MLflow", "http://HOST:PORT"),
    (["-m", "seed=0,1", "tracking.uri=localhost:5000"], "tracking.uri=", "http://localhost:5000"),
    (["tracking.experiment="], "tracking.experiment=: must", "null"),
    (["--config-dir", "nowhere"], "nowhere: there is no such folder", "--config-dir"),
    (["--config-name", "foo"], "--config-name foo: there", "without this option"),
    (["--config-path", "nowhere"], "--config-path", "its absolute path"),
    (["hydra.foo=3"], "hydra.foo: Hydra has no such key", "--cfg hydra"),
    (["hydra.mode=foo"], "hydra.mode=foo: cannot be used", "MULTIRUN"),
    (["seed=${"], "seed=", "cannot be used"),
    (["task._target_=3"], "task._target_=3", "class"),
    (["=", "model=lstm"], "=: must", "KEY=VALUE"),
    (["backend.factory._target_=no.Such", "tracking=journal"], "backend=numpy", "no.Such"),
    (["experiment=null"], "experiment=null", "for none, leave it out"),
]
COMMANDS = [arguments for arguments, _, _ in BAD]
GOOD = ["tracking=journal", "trainer.epochs=0"]


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ending]:
    """How every command of `BAD`, and `GOOD`, ended."""
    commands = [*COMMANDS, GOOD]
    tasks = [(tmp_path_factory.mktemp("refused"), arguments) for arguments in commands]
    for folder, _ in tasks:
        (folder / "file").write_text("")
    return {" ".join(c): found for c, found in zip(commands, run_all(tasks), strict=True)}


def test_a_good_command_runs_leaves_files_and_imports_what_it_needs(
    endings: dict[str, Ending],
) -> None:
    """Or else nothing below could fail."""
    done = endings[" ".join(GOOD)]
    assert (done.code, done.err) == (0, "")
    assert any(Path(path).name == "journal.jsonl" for path in done.left)
    assert {"pandas", "matplotlib"} <= set(done.imported)


@pytest.mark.parametrize(
    ("arguments", "received", "valid"), BAD, ids=[" ".join(c) for c in COMMANDS]
)
def test_one_line_says_what_is_wrong(
    endings: dict[str, Ending], arguments: list[str], received: str, valid: str
) -> None:
    done = endings[" ".join(arguments)]
    assert done.code == 2
    assert done.out == ""
    assert done.err.count("\n") == 1, f"one line, not\n{done.err}"
    assert received in done.err
    assert valid in done.err
    assert "Traceback" not in done.err
    assert "HYDRA_FULL_ERROR" not in done.err


@pytest.mark.parametrize("command", [" ".join(c) for c in COMMANDS])
def test_nothing_is_left_behind(endings: dict[str, Ending], command: str) -> None:
    assert endings[command].left == ["file"]


@pytest.mark.parametrize("command", [" ".join(c) for c in COMMANDS])
def test_no_framework_is_imported(endings: dict[str, Ending], command: str) -> None:
    assert endings[command].imported == []


@pytest.mark.parametrize("command", [" ".join(c) for c in COMMANDS])
def test_nobody_is_told_to_type_what_was_refused(endings: dict[str, Ending], command: str) -> None:
    meant = re.findall(r"Did you mean '([^']*)'", endings[command].err)
    typed = {word.lstrip("+~").split("=")[0] for word in command.split()}
    assert not set(meant) & typed
