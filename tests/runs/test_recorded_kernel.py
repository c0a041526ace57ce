"""A run with a measured kernel says so, and is repeated and resumed with that very kernel."""

import json
import re
import signal
from pathlib import Path

import pytest
from rich.console import Console

from harness.reproduce.__main__ import main
from harness.runs.recorded_kernel import as_recorded, run_tags
from harness.runs.run import Result
from harness.runs.summary import show
from harness.system import processor
from harness.tracking.journal import end_of
from harness.training.kernel_choice import choice
from tests.support import program
from tests.support.configs import config
from tests.support.resumed_runs import CASES, SMALL, plan, run
from tests.support.stopped_at import stopped_at

KERNELS = ("modules", "stacked")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A run of PyTorch in `results/run` that has measured its kernels, as if it were a long one."""
    folder = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choice, "WORTH_MEASURING", 0.0)
        patch.setattr(processor, "_share", [1])
        words = (*SMALL, *CASES["adam"], "backend=torch", f"results={folder}")
        at_once = [f"backend.kernels.{name}=0" for name in KERNELS]
        return run(folder / "run", *words, *at_once)


def taken(result: Result) -> str:
    return result.plan.execution.kernel


def test_the_run_says_what_was_measured(
    measured: Result, capsys: pytest.CaptureFixture[str]
) -> None:
    tags = run_tags(measured.directory)
    assert tags["kernel"] == taken(measured) in KERNELS
    assert tags["threads"] == "1"
    for name in KERNELS:
        assert re.search(rf"{name} [\d.,]+ µs a step, [\d.]+ s to start", tags["kernels"])
    assert "graphed" not in tags["kernels"], "it needs a GPU"
    show(measured, Console())
    line = f"kernel   {taken(measured)}, 1 thread; measured: {tags['kernels']}"
    assert line in capsys.readouterr().out


def test_it_is_repeated_with_its_kernel_whatever_is_measured_by_then(
    measured: Result, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (measured.directory.parent / "cache/kernels").glob(f"*-{taken(measured)}-1.json"):
        slow = json.loads(path.read_text()) | {"step_us": 1e9}
        path.write_text(json.dumps(slow))
    assert main([str(measured.directory)]) == 0
    out = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert out.startswith("Bit-equal")
    assert "unchanged: backend, device, kernel, threads" in out
    other = next(name for name in KERNELS if name != taken(measured))
    assert main([str(measured.directory), "--with", f"backend.kernel={other}"]) == 0
    out = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert out.startswith("Within the band")
    assert f"kernel {taken(measured)} {other} " in out


def test_a_run_that_only_goes_on_keeps_its_kernel(measured: Result, tmp_path: Path) -> None:
    words = (f"resume={measured.directory}", "checkpoint=epoch-00003")
    same = plan(tmp_path / "1", *words)
    assert same.config.backend.kernel == "auto"
    assert (same.execution.kernel, same.threads) == (taken(measured), 1)
    longer = plan(tmp_path / "2", *words, "trainer.epochs=12")
    assert longer.execution.kernel == "auto"
    assert plan(tmp_path / "3", *words, "backend.kernel=stacked").execution.kernel == "stacked"


def test_only_what_is_open_is_taken_from_a_run() -> None:
    tags = {"backend": "torch", "kernel": "stacked, in 3 chunks", "threads": "3"}
    found = as_recorded(config("backend=torch"), tags)
    assert (found.backend.kernel, found.threads) == ("stacked", 3)
    given = config("backend=torch", "backend.kernel=modules", "threads=2")
    assert as_recorded(given, tags) == given
    for other in (config("backend=jax"), config("backend=numpy")):
        assert as_recorded(other, tags) == other
    usual = config("backend=torch")
    for odd in ({}, {"backend": "torch"}, tags | {"kernel": "unknown", "threads": "many"}):
        assert as_recorded(usual, odd) == usual
    for number in ("0", "-1", "99999", "³", ""):
        assert as_recorded(usual, {"backend": "torch", "threads": number}) == usual
    assert as_recorded(usual, tags, ["threads"]).threads == "auto"
    assert as_recorded(usual, tags, ["backend.kernel"]).backend.kernel == "auto"


@pytest.mark.slow
def test_a_stop_while_kernels_are_measured_ends_the_run(tmp_path: Path) -> None:
    stopping = stopped_at(tmp_path / "modules", "-stacked-1.json", signal.SIGINT)
    words = ("backend=torch", "tracking=journal", "trainer.epochs=1000000")
    done = program.finish(program.start(tmp_path, *words, path=(stopping,)))
    assert done.code == 130
    assert "Traceback" not in done.err
    assert "backend.kernel=auto: measures which is fastest of modules, stacked" in done.err
    assert (end_of(program.directory(tmp_path)) or {})["status"] == "KILLED"
    names = [path.name for path in (tmp_path / "results/cache/kernels").iterdir()]
    assert names, "what was measured before is kept"
    assert not any(name.endswith("-stacked-1.json") or "partial" in name for name in names)
