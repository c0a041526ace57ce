"""The rules of whole epochs: how an epoch's loss is averaged, and what becomes of a short batch."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from harness.core.arrays import Array
from harness.identify.case import Case
from harness.identify.search import Found
from harness.identify.verdict import CERTAIN, HIDDEN, Verdict
from harness.recorder.recording import Recording

WAYS = ("samples", "batches")


def epoch_loss(case: Case, found: Found, recording: Recording, losses: Array) -> Verdict:
    """Return how the logged losses of epochs are averages of the answer's `losses` `(S,)`."""
    key = "semantics.epoch_loss"
    means = list(_means(case, found, recording, losses))
    fitting = [way for way in WAYS if means and all(gaps[way] <= 1 for gaps in means)]
    if not means:
        why = "losses of single steps do not show how an epoch's is averaged"
    elif len(fitting) == 1:
        [other] = set(WAYS) - set(fitting)
        largest = max(gaps[other] for gaps in means)
        text = f"the means over {other} leave the band of the logged losses, by {largest:.1e}"
        return Verdict(key=key, value=fitting[0], word=CERTAIN, evidence=f"{text} times it")
    else:
        why = "all batches have one size" if fitting else "the logged losses are neither mean"
    return Verdict(key=key, value=found.rules[key], word=HIDDEN, evidence=why)


def _means(
    case: Case, found: Found, recording: Recording, losses: Array
) -> Iterator[dict[str, float]]:
    """Yield, for each epoch that is judged as a whole, the gaps of both means from its log.

    Gaps are multiples of the mean band.
    """
    if recording.epochs is None:
        return
    sizes = np.array([len(rows) for rows in case.batches])
    for number, logged in _logged(recording).items():
        steps = np.flatnonzero(recording.epochs == number)
        if not len(steps) or steps[-1] >= len(losses) or np.isinf(found.bands[steps]).any():
            continue
        band = float(found.bands[steps].mean())
        over = {"samples": sizes[steps], "batches": np.ones(len(steps))}
        yield {
            way: abs(float(np.average(losses[steps], weights=weights)) - logged) / band
            for way, weights in over.items()
        }


def _logged(recording: Recording) -> dict[int, float]:
    """Return the loss that was logged of each epoch."""

    def number(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool)

    logs = recording.epoch_logs
    return {e["epoch"]: e["loss"] for e in logs if number(e.get("loss")) and number(e.get("epoch"))}


def last_batch(recording: Recording) -> Verdict:
    """Return whether a short last batch is kept, as the recorded batches show it."""
    key, batches, epochs = "semantics.last_batch", recording.batches, recording.epochs
    assert batches is not None
    if (batches < 0).any():
        return Verdict(key=key, value="keep", word=CERTAIN, evidence="a short batch was recorded")
    why = "no batch is short; samples that fill no batch, and epochs, would show it"
    if epochs is not None:
        first = batches[epochs == epochs[0]]
        if len(np.unique(epochs)) > 1 and len(np.unique(first)) < len(np.unique(batches)):
            text = "samples of other epochs were left out of the first"
            return Verdict(key=key, value="drop", word=CERTAIN, evidence=text)
    return Verdict(key=key, value="keep", word=HIDDEN, evidence=why)
