"""Numbers over replicas."""

import numpy as np

Array = np.ndarray


def over_replicas(name: str, values: list[float]) -> dict[str, float]:
    """`{name: value}` of one replica; of several, their mean under `name` and beside it `_std`
    (sample standard deviation) and `_lo`, `_hi`, the 95 % interval of the mean by Student's t."""
    if len(values) == 1:
        return {name: values[0]}
    from scipy.special import stdtrit  # 0.1 s to import, and most runs have one replica

    if not np.isfinite(values).all():  # one replica without a value leaves no mean
        return dict.fromkeys((name, f"{name}_std", f"{name}_lo", f"{name}_hi"), float("nan"))
    mean, std = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(stdtrit(len(values) - 1, 0.975)) * std / np.sqrt(len(values))
    return {name: mean, f"{name}_std": std, f"{name}_lo": mean - half, f"{name}_hi": mean + half}
