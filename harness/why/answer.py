"""Train the coalitions and compute the gap, each setting's part in it, and their uncertainty.

All intervals are 95 % and paired: seed r on one side is compared with seed r on the other. The gap
is B's loss minus A's, each side trained in its own backend. The settings' parts are Shapley values
of trainings in one backend; what they leave of the gap is the frameworks' own part.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from harness.config.backend import BackendConfig
from harness.config.schema import Config
from harness.console.progress import Count
from harness.core.arrays import Array
from harness.core.errors import Diverged
from harness.why.players import Idle, Player, coalition
from harness.why.retrain import loss_name, losses, retrain
from harness.why.shapley import Design, Estimate, Values, estimate, half_width


@dataclass(frozen=True, kw_only=True)
class Question:
    """Two sides with the same data and seeds, and the settings in which they differ."""

    a: Config
    b: Config
    players: list[Player]
    idle: list[Idle]
    backend: BackendConfig  # trains the coalitions
    design: Design

    @property
    def measures(self) -> list[str]:
        """The names of the explained measures, in the order of `harness.why.retrain.losses`."""
        loss = loss_name(self.a)
        return [f"final {loss}", f"mean {loss} over epochs"]

    @property
    def same_framework(self) -> bool:
        """Whether both sides have the backend and device of the coalitions."""
        return self.alike(self.a) and self.alike(self.b)

    @property
    def identical(self) -> bool:
        """Whether both sides have the same acting settings, backend and device."""
        same = (self.a.backend.name, self.a.device) == (self.b.backend.name, self.b.device)
        return same and not self.players

    def alike(self, side: Config) -> bool:
        """Return whether a side has the backend and device of the coalitions."""
        same = side.device == self.a.device or "cuda" not in self.backend.devices
        return same and side.backend.name == self.backend.name

    def members(self, mask: int) -> list[Player]:
        """Return the players in the coalition `mask`."""
        return [player for i, player in enumerate(self.players) if mask >> i & 1]

    def coalition(self, mask: int) -> Config:
        """Return A with a coalition's settings switched to B's, as it is trained here.

        It is trained by `backend`, on one thread and without checkpoints.
        """
        config = coalition(self.a, self.b, self.members(mask))
        device = config.device if "cuda" in self.backend.devices else "cpu"
        trainer = replace(config.trainer, checkpoint_every=0, save_gradient=False)
        return replace(config, backend=self.backend, device=device, threads=1, trainer=trainer)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One measure of training, such as the final loss, explained."""

    name: str
    a: Array  # (R,), each side in its own backend
    b: Array
    frameworks: Array  # (R,): what the settings leave of the gap
    alone_a: Array  # (n, R): the change of the loss if one setting is switched first, from A
    alone_b: Array  # (n, R): the change of the loss if one setting is switched last, to B
    parts: Estimate  # (n, …)

    @property
    def gap(self) -> float:
        """B's loss minus A's, averaged over replicas."""
        return float((self.b - self.a).mean())

    @property
    def half(self) -> float:
        """The half width of the gap's 95 % interval."""
        return float(half_width(self.b - self.a))

    @property
    def significant(self) -> bool:
        """Whether the gap's 95 % interval over seeds excludes 0."""
        return abs(self.gap) > self.half

    @property
    def framework(self) -> tuple[float, float]:
        """The part of the frameworks and the half width of its interval."""
        return float(self.frameworks.mean()), float(half_width(self.frameworks))

    def share(self, part: float) -> float:
        """Return a part as a share of the gap."""
        return float(part) / self.gap

    def share_half(self, half: float) -> float:
        """Return the half width of a part's interval as a share of the gap."""
        return float(half) / abs(self.gap)

    def together(self, settings: list[int]) -> tuple[float, float]:
        """Return the sum of several settings' parts and the half width of its interval.

        Sampling errors of parts add up to zero over all settings, so adding them in quadrature
        overstates the error of the sum.
        """
        summed = self.parts.replicas[settings].sum(axis=0)  # (R,)
        sampling = np.linalg.norm(self.parts.sampling[settings])
        return float(summed.mean()), float(np.hypot(half_width(summed), sampling))

    def ranked(self) -> list[int]:
        """Return the indices of the settings by the size of their parts, largest first."""
        return [int(i) for i in np.argsort(-np.abs(self.parts.mean), kind="stable")]

    def interplay(self) -> tuple[float, float]:
        """Return the sum of parts minus that of single switches, from A's side and from B's."""
        total = float(self.parts.mean.sum())
        sums = (float(changes.mean(axis=1).sum()) for changes in (self.alone_a, self.alone_b))
        from_a, from_b = (total - single for single in sums)
        return from_a, from_b


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The outcomes of all measures, and the losses of the trainings behind them."""

    outcomes: list[Outcome]
    divided: bool  # False if no measure has a gap: then only the ends are trained
    values: Values  # (K, R) by coalition
    seconds: float  # that all trainings took

    @property
    def first(self) -> Outcome:
        """The first outcome that has a gap, or else the first of all."""
        return next((outcome for outcome in self.outcomes if outcome.significant), self.outcomes[0])


def find_answer(question: Question) -> Answer:
    """Train both ends, both sides in their own backends and, if there is a gap, the coalitions.

    The ends are A's and B's settings in the backend of the coalitions. A gap is one beyond the
    noise of the seeds. Raises `Diverged`, which says what was switched.
    """
    began = time.monotonic()
    full = 2 ** len(question.players) - 1
    values: Values = {}
    with Count(4, "training both sides") as progress:
        for mask in (0, full):
            started = time.monotonic()
            values |= _train(question, [mask], 0.0, progress)
            seconds = time.monotonic() - started  # the first one also imports
        ends = np.stack([values[0], values[full]])  # (2, K, R)
        sides = ends.copy()
        for i, side in enumerate((question.a, question.b)):
            if not question.alike(side):
                sides[i] = losses_of_side(side, "AB"[i])
            progress.update()
    outcomes = explain(question.measures, sides, ends)
    divided = bool(question.players) and any(outcome.significant for outcome in outcomes)
    if divided:
        between = [mask for mask in question.design.coalitions if mask not in values]
        with Count(len(between), "training what is in between") as progress:
            values |= _train(question, between, seconds, progress)
        outcomes = explain(question.measures, sides, ends, values, question.design)
    return Answer(
        outcomes=outcomes, divided=divided, values=values, seconds=time.monotonic() - began
    )


def explain(
    names: list[str],
    sides: Array,
    ends: Array,
    values: Values | None = None,
    design: Design | None = None,
) -> list[Outcome]:
    """Return the outcome of each of the K measures.

    `sides` `(2, K, R)` has the losses of A and B in their own backends, `ends` `(2, K, R)` in the
    backend of the coalitions. The gap is divided if the coalitions' `values` are given.
    """
    frameworks = (sides[1] - ends[1]) - (sides[0] - ends[0])  # (K, R)
    nothing = np.zeros((0, *frameworks.shape))
    parts, alone_a, alone_b = Estimate(nothing, nothing[..., 0], nothing[..., 0]), nothing, nothing
    if values is not None and design is not None:
        n, full = design.players, 2**design.players - 1
        parts = estimate(design, values)
        alone_a = np.stack([values[1 << i] - ends[0] for i in range(n)])  # (n, K, R)
        alone_b = np.stack([ends[1] - values[full ^ 1 << i] for i in range(n)])
    return [
        Outcome(
            name=name,
            a=sides[0, k],
            b=sides[1, k],
            frameworks=frameworks[k],
            alone_a=alone_a[:, k],
            alone_b=alone_b[:, k],
            parts=Estimate(parts.replicas[:, k], parts.seeds[:, k], parts.sampling[:, k]),
        )
        for k, name in enumerate(names)
    ]


def _train(question: Question, masks: Iterable[int], seconds: float, progress: Count) -> Values:
    """Return the losses of coalitions; training one takes about `seconds`."""
    values: Values = {}
    try:
        for mask, value in retrain({m: question.coalition(m) for m in masks}, seconds):
            values[mask] = value
            progress.update()
    except Diverged as error:
        message, mask = error.args
        names = ", ".join(player.name for player in question.members(mask))
        switched = f" and B's {names}" if names else ""
        raise Diverged(f"with A's settings{switched}: {message}") from error
    return values


def losses_of_side(side: Config, name: str) -> Array:
    """Train a side in its own backend; its losses `(K, R)`. Raises `Diverged`, naming the side."""
    try:
        return losses(side)
    except Diverged as error:
        raise Diverged(f"side {name} in {side.backend.name}: {error}") from error
