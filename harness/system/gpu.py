"""The NVIDIA GPUs of this machine, asked of the driver without importing a framework."""

import ctypes
import os

VISIBLE = "CUDA_VISIBLE_DEVICES"  # the GPUs that a process may use, by number or by UUID


def gpu_present() -> bool:
    """Return whether the NVIDIA driver has a GPU; it respects `CUDA_VISIBLE_DEVICES`."""
    return _gpu_count() > 0


def gpu_model() -> str:
    """Return the model of the first GPU that this process may use."""
    if not _gpu_count():
        return ""
    driver = ctypes.CDLL("libcuda.so.1")
    device, name = ctypes.c_int(0), ctypes.create_string_buffer(100)
    driver.cuDeviceGet(ctypes.byref(device), 0)
    driver.cuDeviceGetName(name, len(name), device)
    return name.value.decode(errors="replace")


def gpu_names() -> list[str]:
    """Return the GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them."""
    names = os.environ.get(VISIBLE, "").split(",")
    return [names[i] if i < len(names) and names[i] else str(i) for i in range(_gpu_count())]


def _gpu_count() -> int:
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    known = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return count.value if known else 0
