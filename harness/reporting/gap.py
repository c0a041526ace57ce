"""How far apart the curves of two runs are."""

import numpy as np
import pandas as pd


def gap(first: pd.DataFrame, second: pd.DataFrame) -> float:
    """Return the largest relative difference between the curves of two runs.

    It is NaN if neither has any, and infinite where only one of them has an epoch or a finite
    value.
    """
    if first.empty and second.empty:
        return float("nan")
    if not first.index.equals(second.index):
        return float("inf")
    names = [n for n in first.columns if n in second.columns]
    a, b = first[names].to_numpy(float), second[names].to_numpy(float)
    if (np.isfinite(a) != np.isfinite(b)).any():
        return float("inf")
    largest = np.maximum(np.abs(a), np.abs(b))
    share = np.divide(np.abs(a - b), largest, out=np.zeros_like(a), where=largest > 0)
    return float(np.nanmax(share))
