"""`JAX_PLATFORMS`, which says what JAX may run on, without JAX.

JAX ends with an exception that says nothing where it lists what is not there. The CPU has to be in
it: JAX keeps its number of threads, and the data until a GPU gets them.
"""

import os

from harness.core.errors import ConfigError
from harness.system.gpu import gpu_present

VARIABLE = "JAX_PLATFORMS"
GPUS = {"cuda", "gpu"}


def check_jax_platforms() -> None:
    """Raise `ConfigError` for a list that no backend here could use."""
    asked = os.environ.get(VARIABLE, "")
    names = [name.strip() for name in asked.split(",") if name.strip()]
    if names and "cpu" not in names:
        raise ConfigError(f"{VARIABLE}={asked}: must have cpu in it, as in cuda,cpu; or unset it.")
    if GPUS & set(names) and not gpu_present():
        raise ConfigError(f"{VARIABLE}={asked}: no NVIDIA GPU found here; use cpu, or unset it.")
