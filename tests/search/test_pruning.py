"""The rules by which trials are pruned, on numbers of which the answer is known."""

import numpy as np
import pytest

from harness.search.pruning import Report, RunningTrials
from harness.search.pruning_rules import asha, wilcoxon, wilcoxon_looks
from harness.search.settings import Search
from harness.search.study import open_study
from harness.search.trials import JOB, SWEEP


def test_one_of_four_goes_on() -> None:
    reached = [float(i) for i in range(8)]
    assert [asha(value, reached) for value in reached] == [False] * 2 + [True] * 6
    assert not asha(3.0, [3.0]), "the first one"
    assert [asha(value, [2.0, 3.0]) for value in (2.0, 3.0)] == [False, True]


def test_replicas_are_compared_in_pairs() -> None:
    """Seeds differ far more than the two trials: unpaired, nothing could be said."""
    best = np.array([1.0, 10.0, 100.0, 1000.0, 10000.0])
    worse = best + np.array([0.01, 0.02, 0.03, 0.04, 0.05])
    alpha = 0.1 / 3
    assert wilcoxon(worse, best, alpha), "p = 2^-5"
    assert not wilcoxon(worse, best, 2**-5), "no five replicas can do better"
    assert not wilcoxon(worse[::-1], best, alpha)
    assert not wilcoxon(best, worse, alpha), "better"
    assert not wilcoxon(best, best, alpha)
    assert not wilcoxon(worse[:4], best[:4], alpha), "four are too few"
    assert not wilcoxon(worse[:4], best, alpha), "no pairs"


@pytest.mark.parametrize(
    ("interval", "epochs", "looks"), [(1, 16, 3), (1, 17, 4), (4, 50, 3), (1, 2, 0), (5, 5, 0)]
)
def test_looks_are_at_reports_2_4_8_before_the_end(interval: int, epochs: int, looks: int) -> None:
    assert wilcoxon_looks(interval, epochs) == looks


def search(storage: str, pruner: str, **more: object) -> Search:
    fields: dict[str, object] = {
        "trials": None, "batch": "auto", "outstanding": 1, "sampler": "tpe", "pruner": pruner,
        "report_every": 1, "objectives": ["val/loss"], "directions": None, "seed": 0,
        "storage": storage, "study": "s",
    }  # fmt: skip
    return Search(**(fields | more))  # pyright: ignore[reportArgumentType]


def trials(settings: Search, count: int) -> None:
    study = open_study(settings)
    for job in range(count):
        trial = study.ask()
        trial.set_user_attr(SWEEP, "here")
        trial.set_user_attr(JOB, job)


def report(epoch: int, *values: float, name: str = "val/loss") -> Report:
    return Report(epoch, {name: np.array(values)})


def test_all_report_before_one_is_judged(tmp_path: object) -> None:
    settings = search(f"{tmp_path}/study.log", "asha")
    trials(settings, 8)
    running = RunningTrials(settings, "here", 64)
    worst_first = {job: report(1, 8.0 - job) for job in range(8)}
    assert [job for job, pruned in running.judge(worst_first).items() if not pruned] == [6, 7]
    second = {job: report(2, 8.0 - job) for job in (6, 7)}
    assert not any(running.judge(second).values()), "not a rung"
    third = {job: report(4, 8.0 - job) for job in (6, 7)}
    assert running.judge(third) == {6: True, 7: False}
    # Another process finds what these have reported; a trial that begins again reports no more.
    again = RunningTrials(settings, "here", 64)
    assert again.judge({6: report(1, 9.0), 7: report(1, 1.5)}) == {6: True, 7: False}
    assert again.study.trials[6].intermediate_values[1] == 2.0


def test_higher_is_better_where_it_is_maximised(tmp_path: object) -> None:
    settings = search(f"{tmp_path}/study.log", "asha", objectives=["val/accuracy"])
    trials(settings, 2)
    running = RunningTrials(settings, "here", 64)
    values = {job: report(1, value, name="val/accuracy") for job, value in enumerate((0.9, 0.8))}
    assert running.judge(values) == {0: False, 1: True}


def test_the_median_is_that_of_finished_trials(tmp_path: object) -> None:
    settings = search(f"{tmp_path}/study.log", "median")
    trials(settings, 7)
    running = RunningTrials(settings, "here", 64)
    first = {job: report(1, float(job)) for job in range(5)}
    assert not any(running.judge(first).values()), "none has finished"
    for job in range(4):
        running.study.tell(job, float(job))
    assert running.judge({5: report(1, 5.0)}) == {5: False}, "four have finished"
    running.study.tell(4, 4.0)
    assert running.judge({5: report(1, 5.0), 6: report(1, 1.9)}) == {5: True, 6: False}


def test_the_best_trials_replicas_are_those_of_the_study(tmp_path: object) -> None:
    settings = search(f"{tmp_path}/study.log", "wilcoxon")
    trials(settings, 3)
    running = RunningTrials(settings, "here", 16)
    values = np.arange(1.0, 7.0)
    assert running.judge({0: report(2, *values)}) == {0: False}, "there is no best one"
    running.study.tell(0, 1.0)
    assert running.judge({1: report(2, *(values + 0.1)), 2: report(2, *(values - 0.1))}) == {
        1: True,
        2: False,
    }
    assert running.judge({1: report(3, *(values + 0.1))}) == {1: False}, "not a look"
