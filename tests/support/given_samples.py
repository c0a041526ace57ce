"""Tasks whose samples are chosen by the test."""

from dataclasses import dataclass

import numpy as np
import pytest

from harness.core.errors import ConfigError
from harness.tasks import Array, Samples, Task


@dataclass(frozen=True, eq=False)
class Given(Task):
    """A task whose samples are chosen by the test."""

    x: Array
    y: Array
    mask: Array | None = None

    def draw(self, rng: np.random.Generator | np.random.RandomState) -> Samples:
        return Samples(self.x, self.y, mask=self.mask)


@dataclass(frozen=True, eq=False)
class GivenLabels(Given):
    loss = "bce"


@dataclass(frozen=True, eq=False)
class GivenSteps(Given):
    every_step = True


def given_task(x: Array, y: Array, kind: type[Given] = Given, mask: Array | None = None) -> Given:
    """Ten samples: 6 to train, 2 to validate, 2 to test."""
    kind = GivenSteps if y.ndim == 3 else kind
    return kind(
        x,
        y,
        mask,
        name="given",
        samples=len(x),
        val_fraction=0.2,
        test_fraction=0.2,
        scale="standard",
        seed=None,
        legacy_seed=None,
    )


def random_arrays(seed: int, *shape: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    x = rng.normal(5, 3, (10, 4, 3))
    return x, rng.normal(-2, 7, shape)


def random_mask() -> Array:
    """Padding at the end, and in one sample in the middle as well."""
    mask = np.arange(4) < np.array([4, 1, 2, 3, 3, 1, 4, 2, 1, 3])[:, None]
    mask[3] = [True, False, True, False]
    return mask


def one_line_about(error: pytest.ExceptionInfo[ConfigError], *words: str) -> bool:
    message = str(error.value)
    return "\n" not in message and all(word in message for word in words)
