"""A value that no job of a sweep can use is refused before the first job; a hole is not."""

from contextlib import nullcontext

import pytest

from harness.core.errors import ConfigError
from harness.sweeps import precheck
from harness.sweeps.precheck import check_values


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed=0,1", "model.units=4,abc"], r"model\.units=abc: must be a whole number"),
        (["seed=0,1", "model.units=abc,4"], r"model\.units=abc: must be a whole number"),
        (["seed=0,1", "trainer.epochs=-1"], r"trainer\.epochs=-1: must be a whole number"),
        (["optimizer.lr=0.1,nan", "model=rnn,lstm"], r"optimizer\.lr=nan"),
        (["task=next_value,sum", "++task.window=5"], r"task\.window: task=sum has no such key"),
        (
            ["optimizer=sgd,adam", "++optimizer.momentum=0.5"],
            r"optimizer\.momentum: optimizer=adam",
        ),
    ],
)
def test_value_that_no_job_can_use_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_values(words, None)


@pytest.mark.parametrize(
    "words",
    [
        ["model=lstm,rnn", "model.activation=tanh,relu"],  # relu needs the simple cell
        ["model.activation=relu,tanh", "model=lstm,rnn"],
        ["optimizer=sgd,adam", "model.units=range(1,4)"],
        ["task=next_value,multi_step", "++task.window=5"],
        ["experiment=notebook_ramp,notebook_multi_step", "++task.window=5"],
        ["seed=0,1", "model.units=abc", "hydra/launcher=elsewhere"],
        ["seed=0,1", "model.units=abc", "resume=some"],
        ["seed=0,1", "model.units=${hydra:job.num}"],
        [],
    ],
)
def test_what_some_job_can_use_or_nobody_knows_yet_is_left_alone(words: list[str]) -> None:
    check_values(words, None)


def test_each_value_is_checked_once_and_not_each_job(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(precheck, "composing", lambda _: nullcontext(asked.append))
    check_values(["seed=range(10)", "model.units=1,2,3,4,5", "optimizer.lr=0.1,0.2,0.3"], None)
    assert len(asked) == 1 + 9 + 4 + 2
