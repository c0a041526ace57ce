"""The contestants of a process: the harness' backend, and what a user of that framework writes.

NumPy has no training loop of its own to compare with, so its peers are the plain PyTorch loop and
the matrix products of a step alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from benchmarks.common import harness_loop
from benchmarks.common.cases import Case
from benchmarks.common.timing import Epoch

HARNESS = "harness"

Build = Callable[[Case], Epoch]
Peers = Literal["none", "cheap", "all"]


@dataclass(frozen=True)
class Contestant:
    """A training that is timed.

    `load` does the imports, which are not timed, and returns the function that builds the epoch.
    """

    label: str
    case: Case
    load: Callable[[], Build]
    ours: bool = False
    best_of: str = ""  # group whose members differ in one setting; the fastest is quoted
    dear: bool = False  # compiles or sets up for seconds, or is seldom the fastest

    @property
    def name(self) -> str:
        """The label and the number of replicas, unique in a process and network."""
        several = f", {self.case.replicas} replicas" if self.case.replicas > 1 else ""
        return self.label + several


def line_up(
    framework: str,
    trained: list[Case],
    kernels: list[str],
    threads: int,
    peers: Peers,
    device: str = "cpu",
) -> list[Contestant]:
    """Return the contestants that are timed in turn.

    `trained` is one network with each number of replicas; `device` is "cpu", or
    "cuda" with peers that are cheap.
    """
    harness = [
        _harness(case, framework, kernel, threads, device) for case in trained for kernel in kernels
    ]
    if peers == "none":
        return harness
    by_hand = {
        "numpy": _numpy,
        "torch": partial(_torch, device=device),
        "keras": _keras,
        "jax": _jax,
    }[framework]
    return [*harness, *(p for p in by_hand(trained[0]) if peers == "all" or not p.dear)]


def _harness(case: Case, framework: str, kernel: str, threads: int, device: str) -> Contestant:
    def load() -> Build:
        from harness.config.compose import compose
        from harness.training.load_backend import load_backend

        load_backend(compose([f"backend={framework}"]).backend)
        settings = {"framework": framework, "kernel": kernel, "threads": threads, "device": device}
        return partial(harness_loop.build, **settings)

    label = HARNESS if kernel in (harness_loop.AUTO, harness_loop.RULE) else f"{HARNESS} ({kernel})"
    return Contestant(label, case, load, ours=True)


def _numpy(case: Case) -> list[Contestant]:
    def products() -> Build:
        from benchmarks.common import products

        return products.build

    return [
        Contestant("PyTorch loop", case, lambda: _torch_loop().build),
        Contestant("products alone", case, products),
    ]


def _torch(case: Case, device: str) -> list[Contestant]:
    def lightning() -> Build:
        from benchmarks.by_hand import lightning_trainer

        return lightning_trainer.build

    return [
        Contestant("PyTorch loop", case, lambda: partial(_torch_loop().build, device=device)),
        Contestant("torch.compile", case, lambda: _torch_loop().build_compiled, dear=True),
        Contestant("Lightning", case, lightning, dear=True),
    ]


def _torch_loop() -> Any:
    from benchmarks.by_hand import torch_loop

    return torch_loop


def _keras(case: Case) -> list[Contestant]:
    def load(**settings: bool | int) -> Build:
        from benchmarks.by_hand import keras_fit

        return partial(keras_fit.build, **settings)

    several = "fit, steps_per_execution"
    contestants = [
        Contestant("fit", case, load, dear=True),
        Contestant("fit, jit_compile=True", case, partial(load, jit_compile=True), dear=True),
    ]
    for steps in sorted({4, 16, case.steps}):
        if 1 < steps <= case.steps:
            build = partial(load, steps_per_execution=steps)
            label = f"{several}={steps}"
            dear = steps not in (16, case.steps)
            contestants.append(Contestant(label, case, build, best_of=several, dear=dear))
    return contestants


def _jax(case: Case) -> list[Contestant]:
    def plain() -> Build:
        from benchmarks.by_hand import jax_loop

        return _single_precision(jax_loop.build)

    def linen() -> Build:
        from benchmarks.by_hand import flax_linen

        return _single_precision(flax_linen.build)

    def nnx() -> Build:
        from benchmarks.by_hand import flax_nnx

        return _single_precision(flax_nnx.build)

    return [
        Contestant("JAX loop", case, plain),
        Contestant("flax linen", case, linen, dear=True),
        Contestant("flax nnx", case, nnx, dear=True),
    ]


def _single_precision(build: Build) -> Build:
    """Build and train with JAX's 64-bit mode off, as in a user's program.

    The harness' backend turns it on for the whole process.
    """
    import jax

    def built(case: Case) -> Epoch:
        with jax.enable_x64(False):
            epoch = build(case)

        def single_precision_epoch() -> float | None:
            with jax.enable_x64(False):
                return epoch()

        return single_precision_epoch

    return built
