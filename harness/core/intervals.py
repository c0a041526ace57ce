"""Mean, standard deviation and confidence interval of a metric over replicas."""

import numpy as np


def over_replicas(name: str, values: list[float]) -> dict[str, float]:
    """Summarise one value per replica, by metric name.

    One replica gives `{name: value}`. Several give their mean under `name`, the sample standard
    deviation under `name_std`, and the ends of the mean's 95 % interval by Student's t under
    `name_lo` and `name_hi`. All four are NaN if a value is not finite.
    """
    if len(values) == 1:
        return {name: values[0]}
    # 0.1 s to import, and most runs have one replica; SciPy has no stubs.
    from scipy.special import stdtrit  # pyright: ignore[reportMissingTypeStubs]

    if not np.isfinite(values).all():
        return dict.fromkeys((name, f"{name}_std", f"{name}_lo", f"{name}_hi"), float("nan"))
    mean, std = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(stdtrit(len(values) - 1, 0.975)) * std / np.sqrt(len(values))
    return {name: mean, f"{name}_std": std, f"{name}_lo": mean - half, f"{name}_hi": mean + half}
