"""Judge a repetition: equal bit for bit, within the band of rounding, or different, and from where.

Numbers are compared as parity compares them: losses relative to themselves, weights relative to the
largest entry of their tensor. The limits are those of `harness/core/tolerances.py`, or the control
band where that is wider. Accuracies count for equality alone: one sample more is no rounding.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from harness.core.difference import Difference, compare
from harness.core.model import Params
from harness.reproduce.epoch_bands import Band, Bands
from harness.reproduce.recorded_run import RecordedRun
from harness.reproduce.repetition import Beginning, Repetition
from harness.tracking.state_digest import state_digest

Kind = Literal["bit-equal", "within the band", "differs"]


@dataclass(frozen=True, kw_only=True)
class Gap:
    """The largest difference of one quantity after one epoch, with its limit."""

    epoch: int
    quantity: str  # losses, weights, final losses or final weights
    difference: Difference


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The comparison of a recorded run with its repetition.

    `unequal` is the first epoch whose digest or metrics differ in any bit, and `beyond` the first
    gap beyond its limit. `unjudged` is the first epoch whose band is too wide to judge.
    """

    first: int
    last: int  # the epochs that were compared
    unequal: int | None
    final_equal: bool  # metrics and weights at the end, as far as there are any
    gaps: list[Gap]
    beyond: Gap | None
    unjudged: int | None
    notes: list[str]

    @property
    def kind(self) -> Kind:
        """The answer. Unequal digests without any gap are a difference that no band can judge."""
        if self.unequal is None and self.final_equal and self.beyond is None:
            return "bit-equal"
        measured = self.unjudged is not None or any(gap.difference.error for gap in self.gaps)
        if self.beyond is not None or not measured:
            return "differs"
        return "within the band"

    @property
    def from_epoch(self) -> int:
        """The first epoch of a difference.

        Epochs that are equal bit for bit come first where there are any. Otherwise rounding differs
        from the start, and what counts is the first epoch beyond it.
        """
        if self.unequal is not None and (self.unequal > self.first or self.beyond is None):
            return self.unequal
        return self.last if self.beyond is None else self.beyond.epoch

    def largest(self, quantity: str) -> Gap | None:
        """Return the largest gap of a quantity; those beyond their limit come first."""
        gaps = [gap for gap in self.gaps if gap.quantity == quantity]
        return max(gaps, key=_size, default=None)


def _size(gap: Gap) -> tuple[bool, bool, float]:
    error = gap.difference.error
    return gap.difference.beyond, gap.difference.judged, np.inf if np.isnan(error) else error


def judge(start: Beginning, run: RecordedRun, again: Repetition, whole: bool) -> Judgement:
    """Compare a run with its repetition; `whole` says whether all of its epochs were repeated."""
    precision = start.plan.training.precision
    bands, beyond, unjudged = Bands(start, run.last), None, None
    gaps: list[Gap] = []
    for epoch, quantity, expected, actual in _pairs(run, again):
        stage = "losses" if "losses" in quantity else "resumed"
        difference = compare(stage, expected, actual, precision, {})
        if difference.beyond and difference.index and beyond is None:
            band = bands.at(epoch)
            difference = compare(stage, expected, actual, precision, _limits(band, stage))
        gap = Gap(epoch=epoch, quantity=quantity, difference=difference)
        gaps.append(gap)
        if difference.left_out and unjudged is None:
            unjudged = epoch
        if difference.beyond and beyond is None:
            beyond = gap
    common = sorted(run.epochs.keys() & again.epochs.keys())
    judgement = Judgement(
        first=min(run.epochs),
        last=common[-1],
        unequal=next((epoch for epoch in common if not _equal(run, again, epoch)), None),
        final_equal=_final_equal(run, again) if whole else True,
        gaps=gaps,
        beyond=beyond,
        unjudged=unjudged,
        notes=_contradictions(run),
    )
    return _with_length(judgement, run, again) if whole else judgement


def _pairs(run: RecordedRun, again: Repetition) -> Iterator[tuple[int, str, Params, Params]]:
    """Yield what can be compared in the order of the epochs: recorded and repeated tensors."""
    common = sorted(run.epochs.keys() & again.epochs.keys())
    for epoch in common:
        values = run.epochs[epoch].values, again.epochs[epoch].values
        yield epoch, "losses", _losses(values[0]), _losses(values[1])
        if epoch in run.states and epoch in again.states:
            yield epoch, "weights", run.states[epoch].params, again.states[epoch].params
    if again.weights is None:
        return
    weights = run.final_weights()
    if weights is not None:
        yield common[-1], "final weights", weights, again.weights
    yield common[-1], "final losses", _losses(run.final), _losses(again.final)


def _losses(values: Params) -> Params:
    """Return the losses among metrics, `(1, R)` each, as parity has one row for a step."""
    return {name: value[None] for name, value in values.items() if name.endswith("/loss")}


def _limits(band: Band, stage: str) -> Params:
    """Return the band of each tensor; the test split has that of validation, or of training."""
    if stage != "losses":
        return band.weights
    held_out = band.losses.get("val/loss", band.losses["train/loss"])
    return band.losses | {"test/loss": held_out}


def _equal(run: RecordedRun, again: Repetition, epoch: int) -> bool:
    recorded, repeated = run.epochs[epoch], again.epochs[epoch]
    digests = recorded.digest is None or recorded.digest == repeated.digest
    return digests and equal(recorded.values, repeated.values)


def equal(expected: Params, actual: Params) -> bool:
    """Return whether both have the same arrays, number by number; NaN equals NaN."""
    return expected.keys() == actual.keys() and all(
        np.array_equal(value, actual[name], equal_nan=True) for name, value in expected.items()
    )


def _final_equal(run: RecordedRun, again: Repetition) -> bool:
    if again.weights is None:
        return True
    weights = run.final_weights()
    return equal(run.final, again.final) and (weights is None or equal(weights, again.weights))


def _contradictions(run: RecordedRun) -> list[str]:
    """Return a line for each checkpoint that is not the state whose digest the journal has."""
    return [
        f"the run's checkpoint of epoch {epoch} is not the state that its journal has the digest"
        " of: one of the two files was changed"
        for epoch, state in run.states.items()
        if run.epochs[epoch].digest not in (None, state_digest(state))
    ]


def _with_length(judgement: Judgement, run: RecordedRun, again: Repetition) -> Judgement:
    """Count it as a difference if one of the two trained longer."""
    ends = {"the run": run.last, "the repetition": max(again.epochs)}
    if len(set(ends.values())) == 1 or judgement.beyond is not None:
        return judgement
    shorter = min(ends, key=lambda name: ends[name])
    note = f"{shorter} ended after epoch {ends[shorter]}, the other trained on"
    difference = Difference(stage="losses", tensor="epochs", error=np.inf, note=note)
    gap = Gap(epoch=ends[shorter] + 1, quantity="length", difference=difference)
    return replace(judgement, beyond=gap, gaps=[*judgement.gaps, gap])
