"""The tasks of `conf/task`, with fields changed."""

from dataclasses import replace
from functools import cache

from harness.config.schema import Config
from harness.tasks import Task
from tests.support.configs import config

DRAWN = (
    "sum",
    "running_sum",
    "binary",
    "next_value",
    "multi_step",
    "curve",
    "unfold",
    "gaussian",
    "notebook/sgd_step",
)


@cache
def run(*overrides: str) -> Config:
    return config(*overrides)


def task(option: str, **changes: object) -> Task:
    return replace(run(f"task={option}").task, **changes)
