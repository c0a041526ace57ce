"""The text of the option that trains as a recording did: `experiment/NAME.yaml`."""

from pathlib import Path
from typing import Any

import yaml

from harness.core.arrays import Array
from harness.identify.search import Found
from harness.parity.problem import Problem
from harness.repeat.rules import NamedRules

SAMPLES, WEIGHTS = "samples.npz", "weights.safetensors"
ORDER, RATES = "order.npy", "learning_rates.npy"


def header(found: Found, recording: Path) -> str:
    """Return the first lines, which say what the rules are worth."""
    how = "It has the rules that harness identify finds."
    if not found.fits:
        step = found.judged.parts_at
        how = f"Its rules do NOT give the recorded losses: they are the nearest, to step {step}."
    name = recording.resolve().name
    return f"# @package _global_\n# The training in the recording {name!r}. {how}\n"


def settings_text(
    name: str, files: str, identified: NamedRules, problem: Problem, order: Array
) -> str:
    """Return the settings as YAML; `files` is the folder of what they name, of `own_file`."""
    training = problem.training
    groups = {
        "task": _task(name, files, training.loss),
        "model": _model(files, problem),
        "optimizer": _optimizer(problem),
        "trainer": _trainer(files, identified, problem, order),
        "semantics": {"tf32": "off"},  # whose three digits are no rounding that is judged here
        "precision": training.precision,
    }
    chosen = {"task": "file", "model": problem.model.cell, "optimizer": training.optimizer}
    chosen["semantics"] = name
    defaults = [{f"override /{group}": option} for group, option in chosen.items()]
    return yaml.safe_dump({"defaults": defaults, **groups}, sort_keys=False)


def is_constant(lr: Array) -> bool:
    """Whether all steps have one rate; `lr` is `(S, R)`."""
    return bool((lr == lr[0]).all())


def _own(files: str, name: str) -> str:
    return f"${{own_file:{files}/{name}}}"


def _task(name: str, files: str, loss: str) -> dict[str, Any]:
    # A recording has the training's samples alone.
    splits = {"val_fraction": 0.0, "test_fraction": 0.0}
    return {"name": name, "path": _own(files, SAMPLES), "loss": loss, **splits}


def _model(files: str, problem: Problem) -> dict[str, Any]:
    names = ("units", "layers", "activation", "returns", "head")
    settings = {name: getattr(problem.model, name) for name in names}
    return settings | {"weights": _own(files, WEIGHTS)}


def _optimizer(problem: Problem) -> dict[str, Any]:
    numbers = {n: float(v[0]) for n, v in problem.training.numbers.items()}
    numbers.pop("rho", None)  # the semantics have it
    nesterov = {"nesterov": problem.training.nesterov}
    chosen = nesterov if problem.training.optimizer == "sgd" else {}
    return {"lr": float(problem.lr.max()), **numbers, **chosen}


def _trainer(files: str, identified: NamedRules, problem: Problem, order: Array) -> dict[str, Any]:
    settings = {
        "epochs": len(order),
        "batch_size": order.shape[2],
        "clip": identified.rules["trainer.clip"],
        "order": _own(files, ORDER),
    }
    rates = {} if is_constant(problem.lr) else {"learning_rates": _own(files, RATES)}
    return settings | rates
