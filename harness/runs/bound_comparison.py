"""Compare a loss with the best that any model can reach on the task."""

import numpy as np

from harness.core.arrays import Array
from harness.core.losses import gives_logits
from harness.tasks import Bound
from harness.training.metrics import mean_loss, sample_losses
from harness.training.splits import Split, Splits


def compare_with_bound(bound: Bound, loss: str, split: str, outputs: Array, splits: Splits) -> str:
    """Return a sentence on the mean loss on `split`, where the network gives `outputs` `(R, N, …)`.

    Where the bound is 0, a loss of at most 1 % of the loss of constant guessing on the same split
    counts as having reached it. Elsewhere two standard errors of the mean over the samples decide,
    since a finite split never shows the expected loss exactly.
    """
    part = splits.parts[split]
    y, mask = np.broadcast_to(part.y, outputs.shape), part.counted
    losses = sample_losses(loss, outputs, y, mask)  # (R, N)
    mean, samples = float(mean_loss(loss, outputs, y, mask).mean()), losses.shape[1]
    best = f"best possible {bound.loss:.4g} ({bound.reason})"
    if bound.loss == 0:
        guess = np.broadcast_to(constant_guess(loss, splits.train), outputs.shape)
        guessing = float(mean_loss(loss, guess, y, mask).mean())
        return f"{best}; {_share(mean, guessing, split)}"
    error = float(losses.mean(axis=0).std(ddof=1) / np.sqrt(samples)) if samples > 1 else np.inf
    if split == "train" and mean < bound.loss - 2 * error:
        return f"{best}; {split}/loss is below it: the training data are being memorised"
    if mean <= bound.loss + 2 * error:
        return f"{best}; {split}/loss is indistinguishable from it: nothing more can be learnt"
    return f"{best}; {split}/loss is {mean / bound.loss - 1:.1%} above it"


def constant_guess(loss: str, train: Split) -> Array:
    """Return the best constant outputs on the training split, `(R, 1, O)` or `(R, 1, 1, O)`.

    For each output this is the mean target, or the logit of the mean label. Labels that are all
    equal would make the logit infinite, and the loss of one different label on another split, too:
    so of n labels, at least half a label is taken to be different.
    """
    y, counted = train.y, train.counted
    axes = tuple(range(1, y.ndim - 1))
    real = np.broadcast_to(True if counted is None else counted[..., None], y.shape)
    low = y.min(axis=axes, keepdims=True, where=real, initial=np.inf)
    high = y.max(axis=axes, keepdims=True, where=real, initial=-np.inf)
    mean = np.where(low == high, low, y.mean(axis=axes, keepdims=True, where=real))
    if not gives_logits(loss):
        return mean
    half = 0.5 / real.sum(axis=axes, keepdims=True)
    share = np.clip(mean, half, 1 - half)
    return np.log(share) - np.log1p(-share)


def _share(mean: float, guessing: float, split: str) -> str:
    if guessing == 0:
        return f"{split}/loss is {mean:.4g}, and constant guessing costs nothing"
    share = mean / guessing
    reached = "reached: " if share <= 0.01 else ""
    shown = f"{share:.2%} of" if share < 10 else f"{share:.3g} times"
    return f"{reached}{split}/loss is {shown} what constant guessing costs"
