"""Is there an NVIDIA GPU? Asked of the driver, without a framework."""

import ctypes


def gpu_present() -> bool:
    """Ask the NVIDIA driver itself; `CUDA_VISIBLE_DEVICES` is respected by it."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    found = ctypes.c_int(0)
    return (
        driver.cuInit(0) == 0
        and driver.cuDeviceGetCount(ctypes.byref(found)) == 0
        and found.value > 0
    )
