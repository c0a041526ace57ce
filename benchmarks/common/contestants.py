"""Who trains in which process: the harness' backend, and what a user of that framework writes.

NumPy has no training loop of its own to compare with, so its peer is the plain PyTorch loop; and it
is measured how long a step's matrix products take by themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.common.cases import Case
from benchmarks.common.timing import Epoch

HARNESS = "harness"

Build = Callable[[Case], Epoch]


@dataclass(frozen=True)
class Contestant:
    """`load` imports what it needs and returns what builds it: importing is not training."""

    label: str
    case: Case
    load: Callable[[], Build]
    ours: bool = False
    best_of: str = ""  # of those with this name the fastest is quoted: they differ in one setting

    @property
    def name(self) -> str:
        """Unique in its process and network."""
        several = f", {self.case.replicas} replicas" if self.case.replicas > 1 else ""
        return self.label + several


def line_up(
    framework: str, trained: list[Case], kernels: list[str], threads: int, by_hand: bool
) -> list[Contestant]:
    """All that is timed in turn; `trained` is one network with each number of replicas."""
    harness = [_harness(case, framework, kernel, threads) for case in trained for kernel in kernels]
    if not by_hand:
        return harness
    peers = {"numpy": _numpy, "torch": _torch, "keras": _keras, "jax": _jax}[framework]
    return [*harness, *peers(trained[0])]


def _harness(case: Case, framework: str, kernel: str, threads: int) -> Contestant:
    default = kernel == "default"

    def load() -> Build:
        from benchmarks.common import harness_loop
        from harness.config.compose import compose
        from harness.training.load_backend import load_backend

        load_backend(compose([f"backend={framework}"]).backend)
        chosen = None if default else kernel
        return partial(harness_loop.build, framework=framework, kernel=chosen, threads=threads)

    return Contestant(HARNESS if default else f"{HARNESS} ({kernel})", case, load, ours=True)


def _numpy(case: Case) -> list[Contestant]:
    def products() -> Build:
        from benchmarks.common import products

        return products.build

    return [
        Contestant("PyTorch loop", case, lambda: _torch_loop().build),
        Contestant("products alone", case, products),
    ]


def _torch(case: Case) -> list[Contestant]:
    def lightning() -> Build:
        from benchmarks.by_hand import lightning_trainer

        return lightning_trainer.build

    return [
        Contestant("PyTorch loop", case, lambda: _torch_loop().build),
        Contestant("torch.compile", case, lambda: _torch_loop().build_compiled),
        Contestant("Lightning", case, lightning),
    ]


def _torch_loop() -> Any:
    from benchmarks.by_hand import torch_loop

    return torch_loop


def _keras(case: Case) -> list[Contestant]:
    def load(**settings: bool | int) -> Build:
        from benchmarks.by_hand import keras_fit

        return partial(keras_fit.build, **settings)

    several = "fit, steps_per_execution"
    found = [
        Contestant("fit", case, load),
        Contestant("fit, jit_compile=True", case, partial(load, jit_compile=True)),
    ]
    for steps in sorted({4, 16, case.steps}):
        if 1 < steps <= case.steps:
            own = partial(load, steps_per_execution=steps)
            found.append(Contestant(f"{several}={steps}", case, own, best_of=several))
    return found


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
        Contestant("flax linen", case, linen),
        Contestant("flax nnx", case, nnx),
    ]


def _single_precision(build: Build) -> Build:
    """The harness' backend turns 64 bits on for the whole process; a user's program has not."""
    import jax

    def built(case: Case) -> Epoch:
        with jax.enable_x64(False):
            epoch = build(case)

        def again() -> float | None:
            with jax.enable_x64(False):
                return epoch()

        return again

    return built
