"""A search that cannot be meant is refused in one line, before its first job; nothing is left."""

from pathlib import Path

import pytest

from tests.support import program
from tests.support.command_lines import run_all

SEARCH = "hydra/sweeper=optuna"
LR = "optimizer.lr=interval(0.1,1)"
TWO = "hydra.sweeper.objectives=[val/loss,params/total]"
BAD = [
    ([LR], "interval(0.1,1): only a search takes an interval; add hydra/sweeper=optuna"),
    ([LR, "hydra/launcher=basic"], "only a search takes an interval"),
    ([SEARCH, "seed=0"], "there is nothing to search for"),
    ([SEARCH, LR, "hydra.sweeper.sampler=bayes"], "sampler=bayes: must be one of tpe"),
    ([SEARCH, LR, "hydra.sweeper.sampler=grid"], "optimizer.lr: hydra.sweeper.sampler=grid needs"),
    ([SEARCH, LR, "hydra.sweeper.pruner=hyper"], "pruner=hyper: must be one of none, asha"),
    ([SEARCH, LR, "hydra.sweeper.batch=none"], "batch=none: must be auto or a whole number"),
    ([SEARCH, LR, "hydra.sweeper.outstanding=0"], "outstanding=0: must be a whole number, at"),
    ([SEARCH, LR, "hydra.sweeper.outstanding=null"], "outstanding=null: must be a whole number"),
    (
        [SEARCH, LR, "hydra.sweeper.outstanding=2", "hydra.sweeper.sampler=cmaes"],
        "outstanding=2: cmaes asks for a generation by the results of the one before",
    ),
    (
        [SEARCH, LR, "hydra.sweeper.outstanding=2", "hydra/launcher=basic"],
        "outstanding=2: needs hydra/launcher=batched or ray",
    ),
    ([SEARCH, LR, "hydra.sweeper.trials=0"], "trials=0: must be a whole number, at least 1"),
    ([SEARCH, LR, "hydra.sweeper.objectives=[val/los]"], "Did you mean 'val/loss'?"),
    ([SEARCH, LR, "task.val_fraction=0"], "objectives=val/loss: no run records it without"),
    ([SEARCH, LR, "hydra.sweeper.objectives=[val/accuracy]"], "with task.loss=mse, which has no"),
    (
        [SEARCH, LR, TWO, "hydra.sweeper.pruner=asha"],
        "pruner=asha: a trial is pruned by one objective",
    ),
    (
        [SEARCH, LR, "hydra.sweeper.objectives=[params/total]", "hydra.sweeper.pruner=asha"],
        "needs an objective that is measured in every epoch",
    ),
    ([SEARCH, LR, "hydra.sweeper.directions=[up]"], "directions=up: must be one of minimize"),
    ([SEARCH, LR, "hydra.sweeper.pruner=wilcoxon"], "replicas=1: hydra.sweeper.pruner=wilcoxon"),
    (
        [SEARCH, "trainer.epochs=2,3", "hydra.sweeper.pruner=median"],
        "trainer.epochs: must be the same in all trials",
    ),
    (
        [SEARCH, LR, "hydra.sweeper.pruner=asha", "hydra/launcher=basic"],
        "pruner=asha: needs hydra/launcher=batched",
    ),
    ([SEARCH, "model.units=interval(2,4)"], "model.units=2.0: must be a whole number"),
    ([SEARCH, "model.units=int(interval(0,4))"], "model.units=0: must be a whole number"),
    ([SEARCH, "task=sum,summ"], "task=summ: must be one of"),
    ([SEARCH, LR, "hydra.sweeper.storage=a.log"], "hydra.sweeper.study: name the study"),
    (
        [SEARCH, LR, "hydra.sweeper.storage=sqlite:////no/where.db", "hydra.sweeper.study=a"],
        "storage=sqlite:////no/where.db: cannot be opened",
    ),
    (
        [
            SEARCH,
            LR,
            "hydra.sweeper.storage=postgresql+psycopg2://u:pw@h/d",
            "hydra.sweeper.study=a",
        ],
        "storage=postgresql+psycopg2://u@h/d: was given with a password",
    ),
]


def test_what_cannot_be_meant_is_refused_in_one_line(tmp_path: Path) -> None:
    tasks = [(tmp_path / str(i), ["-m", *words]) for i, (words, _) in enumerate(BAD)]
    for (words, message), done in zip(BAD, run_all(tasks), strict=True):
        assert done.code == 2, (words, done.err)
        assert done.err.count("\n") == 1, (words, done.err)
        assert message in done.err
        assert done.left == []


@pytest.mark.parametrize(
    ("package", "more"), [("optuna", []), ("cmaes", ["hydra.sweeper.sampler=cmaes"])]
)
def test_a_missing_package_is_named(package: str, more: list[str], tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{package!r}] = None\n")
    words = ["-m", SEARCH, LR, *more]
    done = program.finish(program.start(tmp_path, *words, path=(tmp_path,)))
    assert done.code == 2, done.err
    assert f"{package} is not installed; run: pip install 'rnn-harness[optuna]'" in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "results").exists()
