"""Whether there is an NVIDIA GPU, asked of the driver without importing a framework."""

import ctypes


def gpu_present() -> bool:
    """Return whether the NVIDIA driver has a GPU; it respects `CUDA_VISIBLE_DEVICES`."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return (
        driver.cuInit(0) == 0
        and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
        and count.value > 0
    )
