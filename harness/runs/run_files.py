"""The tables that a run writes: its parameters and its predictions."""

from typing import TYPE_CHECKING

import numpy as np

from backends import Backend
from harness.core.losses import gives_logits
from harness.core.model import ModelSpec, count_params, param_formulas, shapes
from harness.tasks.lengths import last_step
from harness.training.metrics import predict
from harness.training.splits import Splits

if TYPE_CHECKING:
    import pandas as pd


def parameter_table(model: ModelSpec) -> "pd.DataFrame":
    """Return `name, shape, count, formula` of every parameter, with a last row for the total."""
    import pandas as pd

    formula = param_formulas(model)
    rows = [
        (name, "×".join(map(str, shape)), int(np.prod(shape)), formula[name])
        for name, shape in shapes(model).items()
    ]
    rows.append(("total", "", count_params(model), ""))
    return pd.DataFrame(rows, columns=["name", "shape", "count", "formula"])


def prediction_table(
    model: ModelSpec, backend: Backend, splits: Splits, loss: str
) -> "pd.DataFrame":
    """Return every split's targets and predictions in original units, one row per number.

    Columns are `split, replica, sample, time_step, output, true, predicted`; indices start at 0. A
    model with one output per sequence has it at the last real time step; padding has no rows. A
    binary task's prediction is a probability.
    """
    import pandas as pd

    tables = []
    for name in sorted(splits.parts, key=["train", "val", "test", "probe"].index):
        part = splits.parts[name]
        predicted = predict(backend, splits, part)
        if gives_logits(loss):
            predicted = 0.5 * np.tanh(0.5 * predicted) + 0.5
        true = np.broadcast_to(part.y, predicted.shape)
        if not model.every_step:  # (R, N, O) -> (R, N, 1, O)
            predicted, true = predicted[:, :, None], true[:, :, None]
        replica, sample, step, output = np.indices(predicted.shape).reshape(4, -1)
        mask = np.ones(part.x.shape[:3], bool) if part.mask is None else part.mask
        mask = np.broadcast_to(mask, (len(predicted), *mask.shape[1:]))
        if not model.every_step:
            step = last_step(mask)[replica, sample]
        columns = {"split": name, "replica": replica, "sample": sample, "time_step": step}
        columns |= {"output": output, "true": true.ravel(), "predicted": predicted.ravel()}
        tables.append(pd.DataFrame(columns)[mask[replica, sample, step]])
    return pd.concat(tables, ignore_index=True)
