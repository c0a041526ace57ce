"""Check `JAX_PLATFORMS`, the devices that JAX may use, without importing JAX.

Where it lists a device that is not there, JAX raises an exception that does not say so. The CPU has
to be listed: data are kept there until a GPU gets them, and the number of threads is set for it.
"""

import os

from harness.core.errors import ConfigError
from harness.system.gpu import gpu_present

VARIABLE = "JAX_PLATFORMS"
GPUS = {"cuda", "gpu"}


def check_jax_platforms() -> None:
    """Raise `ConfigError` if the JAX backend cannot run on the platforms that are listed."""
    listed = os.environ.get(VARIABLE, "")
    names = [name.strip() for name in listed.split(",") if name.strip()]
    if names and "cpu" not in names:
        raise ConfigError(f"{VARIABLE}={listed}: must have cpu in it, as in cuda,cpu; or unset it.")
    if GPUS & set(names) and not gpu_present():
        raise ConfigError(f"{VARIABLE}={listed}: no NVIDIA GPU found here; use cpu, or unset it.")
