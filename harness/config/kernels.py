"""The kernels that the option of a backend lists, and what the start of each takes.

    kernels: [one, other]
    kernels: {one: 0.1, other: {seconds: 1, per: time_step}}

The seconds are rough. They decide whether it is worth while to measure a kernel, and no result
depends on them.
"""

import math
from dataclasses import dataclass
from typing import Any, cast

from harness.core.errors import ConfigError

PER = ("time_step", "replica")
EXAMPLE = "such as {scan: 1, unrolled: {seconds: 0.2, per: time_step}}"


@dataclass(frozen=True)
class StartUp:
    """The seconds from the construction of a kernel to the end of its compilation.

    They may be those of each time step in each layer, or of each replica.
    """

    seconds: float
    per: str | None = None

    def estimate(self, time_steps: int, replicas: int) -> float:
        """Return the seconds for a network of so many time steps, in all layers, and replicas."""
        return self.seconds * {"time_step": time_steps, "replica": replicas}.get(self.per or "", 1)


def start_ups(kernels: Any) -> dict[str, StartUp]:
    """Return the kernels of an option by name; those of a plain list start at once.

    Raises `ConfigError`.
    """
    if isinstance(kernels, dict):
        mapping = cast("dict[Any, Any]", kernels)
        return {str(name): _start_up(str(name), value) for name, value in mapping.items()}
    if isinstance(kernels, list):
        return {str(name): StartUp(0.0) for name in cast("list[Any]", kernels)}
    if kernels is None:
        return {}
    raise ConfigError(f"backend.kernels={kernels}: must be a list, or a mapping {EXAMPLE}.")


def _start_up(name: str, value: Any) -> StartUp:
    words = cast("dict[Any, Any]", value if isinstance(value, dict) else {"seconds": value})
    seconds: Any = words.get("seconds")
    per = words.get("per")
    if not words.keys() - {"seconds", "per"} and per in (None, *PER):
        is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if is_number and 0 <= seconds < math.inf:
            return StartUp(seconds, per)
    raise ConfigError(
        f"backend.kernels.{name}={value}: must be the seconds of its start, {EXAMPLE}; per is one "
        f"of {', '.join(PER)}."
    )
