"""How a loss stands to the best that any model can reach on the task."""

import numpy as np

from harness.evaluate import mean_loss, sample_losses
from harness.tasks import Bound

Array = np.ndarray


def verdict(
    bound: Bound, loss: str, split: str, outputs: Array, y: Array, mask: Array | None = None
) -> str:
    """One sentence about the mean loss on one split, for outputs and targets `(R, N, …)`, of which
    those at real steps count (`mask`, see `Split.counted`).

    Where the bound is 0, a loss of at most 1 % of what constant guessing costs (the targets'
    variance, or ln 2) counts as having reached it. Elsewhere two standard errors of the mean over
    the samples decide, since a finite split never shows the expected loss exactly.
    """
    y = np.broadcast_to(y, outputs.shape)
    each = sample_losses(loss, outputs, y, mask)
    mean, samples = float(mean_loss(loss, outputs, y, mask).mean()), each.shape[1]
    best = f"best possible {bound.loss:.4g} ({bound.reason})"
    if bound.loss == 0:
        real = True if mask is None else mask[..., None]
        guessing = float(y.var(where=real)) if loss == "mse" else float(np.log(2))
        share = mean / guessing if guessing else float(mean > 0)
        reached = "reached: " if share <= 0.01 else ""
        shown = f"{share:.2%} of" if share < 10 else f"{share:.3g} times"
        return f"{best}; {reached}{split}/loss is {shown} what constant guessing costs"
    error = float(each.mean(axis=0).std(ddof=1) / np.sqrt(samples)) if samples > 1 else np.inf
    if split == "train" and mean < bound.loss - 2 * error:
        return f"{best}; {split}/loss is below it: the training data are being memorised"
    if mean <= bound.loss + 2 * error:
        return f"{best}; {split}/loss is indistinguishable from it: nothing more can be learnt"
    return f"{best}; {split}/loss is {mean / bound.loss - 1:.1%} above it"
