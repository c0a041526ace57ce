"""Compiled programs are freed before the process has more memory maps than Linux allows."""

import pytest

from harness.parity.problem import configs, load_classes, problem_of
from harness.system import compiled_programs


def maps() -> int:
    return compiled_programs.MAPS.read_bytes().count(b"\n")


def test_what_jax_compiled_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled_programs.free()
    before = maps()
    for units in (3, 4, 5):
        words = ["task=gaussian", f"model.units={units}", "task.samples=20"]
        composed = configs(["jax"], words)
        problem = problem_of(composed[0], 2)
        problem.train(problem.build(load_classes(["jax"], composed)["jax"]), 0, 2)
    after = maps()
    assert after > before + 100
    compiled_programs.free_if_many()
    assert maps() == after, "not yet many"
    monkeypatch.setattr(compiled_programs, "MANY", after - 1)
    compiled_programs.free_if_many()
    assert maps() < before + (after - before) / 2
