"""What the trainings say: the gap, every setting's part in it, and the uncertainty of both.

All intervals are 95 % and paired: seed r on one side is compared with seed r on the other. The gap
is B's loss minus A's, each side trained in its own backend. The settings' parts are Shapley values
of trainings in one backend; what they leave of the gap is the frameworks' own part.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from harness.config.schema import BackendConfig, Config
from harness.console.progress import Count
from harness.core.errors import Diverged
from harness.why.players import Idle, Player, coalition
from harness.why.retrain import loss_name, losses, retrain
from harness.why.shapley import Design, Estimate, Values, estimate, half_width

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Question:
    """Two sides with the same data and seeds, and what differs between them."""

    a: Config
    b: Config
    players: list[Player]
    idle: list[Idle]
    backend: BackendConfig  # trains the coalitions
    design: Design

    @property
    def measures(self) -> list[str]:
        """What is explained, in the order of `harness.why.retrain.losses`."""
        loss = loss_name(self.a)
        return [f"final {loss}", f"mean {loss} over epochs"]

    @property
    def same_framework(self) -> bool:
        """Whether no other backend or device takes part than those of the coalitions."""
        return self.alike(self.a) and self.alike(self.b)

    @property
    def identical(self) -> bool:
        """Whether both sides are bound to train alike."""
        same = (self.a.backend.name, self.a.device) == (self.b.backend.name, self.b.device)
        return same and not self.players

    def alike(self, side: Config) -> bool:
        """Whether a side's own backend and device are those of the coalitions."""
        same = side.device == self.a.device or "cuda" not in self.backend.devices
        return same and side.backend.name == self.backend.name

    def members(self, mask: int) -> list[Player]:
        return [player for i, player in enumerate(self.players) if mask >> i & 1]

    def coalition(self, mask: int) -> Config:
        """A with a coalition's settings switched to B's, as it is trained here: on one thread and
        without checkpoints."""
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
    frameworks: Array  # (R,): what the settings leave
    alone_a: Array  # (n, R): each setting alone switched, from A
    alone_b: Array  # (n, R): each setting switched last, to B
    parts: Estimate  # (n, …)

    @property
    def gap(self) -> float:
        return float((self.b - self.a).mean())

    @property
    def half(self) -> float:
        return float(half_width(self.b - self.a))

    @property
    def significant(self) -> bool:
        """Whether there is a gap beyond what the choice of seeds explains."""
        return abs(self.gap) > self.half

    @property
    def framework(self) -> tuple[float, float]:
        """The frameworks' own part and the half width of its interval."""
        return float(self.frameworks.mean()), float(half_width(self.frameworks))

    def share(self, part: float) -> float:
        return float(part) / self.gap

    def share_half(self, half: float) -> float:
        """The half width of a part's interval, as a share."""
        return float(half) / abs(self.gap)

    def together(self, settings: list[int]) -> tuple[float, float]:
        """The sum of several settings' parts and its half width. Sampling errors of parts add up to
        zero over all settings, so that adding them in quadrature overstates that of the sum."""
        summed = self.parts.replicas[settings].sum(axis=0)  # (R,)
        sampling = np.linalg.norm(self.parts.sampling[settings])
        return float(summed.mean()), float(np.hypot(half_width(summed), sampling))

    def ranked(self) -> list[int]:
        """Settings by the size of their parts, largest first."""
        return [int(i) for i in np.argsort(-np.abs(self.parts.mean), kind="stable")]

    def interplay(self) -> tuple[float, float]:
        """What is left of the settings' part when each is switched alone, from A and from B."""
        total = float(self.parts.mean.sum())
        alone = (float(way.mean(axis=1).sum()) for way in (self.alone_a, self.alone_b))
        from_a, from_b = (total - explained for explained in alone)
        return from_a, from_b


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Where no measure has a gap, nothing is divided and only the ends are trained."""

    outcomes: list[Outcome]
    divided: bool
    values: Values  # (K, R) by coalition
    seconds: float

    @property
    def first(self) -> Outcome:
        """The one whose table comes first: the first that has a gap."""
        return next((outcome for outcome in self.outcomes if outcome.significant), self.outcomes[0])


def find_answer(question: Question) -> Answer:
    """Train both ends, both sides in their own backends and, where there is a gap beyond the
    noise, the coalitions in between. Raises `Diverged`, saying what was switched."""
    began = time.monotonic()
    full = 2 ** len(question.players) - 1
    values: Values = {}
    with Count(4, "training both sides") as progress:
        for mask in (0, full):
            started = time.monotonic()
            values |= _train(question, [mask], 0.0, progress)
            seconds = time.monotonic() - started  # the first one also imports
        ends = np.stack([values[0], values[full]])  # (2, K, R)
        own = ends.copy()
        for i, side in enumerate((question.a, question.b)):
            if not question.alike(side):
                own[i] = own_losses(side, "AB"[i])
            progress.update()
    found = explain(question.measures, own, ends)
    divided = bool(question.players) and any(outcome.significant for outcome in found)
    if divided:
        between = [mask for mask in question.design.coalitions if mask not in values]
        with Count(len(between), "training what is in between") as progress:
            values |= _train(question, between, seconds, progress)
        found = explain(question.measures, own, ends, values, question.design)
    return Answer(outcomes=found, divided=divided, values=values, seconds=time.monotonic() - began)


def explain(
    names: list[str],
    own: Array,
    ends: Array,
    values: Values | None = None,
    design: Design | None = None,
) -> list[Outcome]:
    """Each measure k from the losses of A and B in their own backends and in that of the
    coalitions, `(2, K, R)` both, and if it is to be divided the coalitions' `values`."""
    frameworks = (own[1] - ends[1]) - (own[0] - ends[0])  # (K, R)
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
            a=own[0, k],
            b=own[1, k],
            frameworks=frameworks[k],
            alone_a=alone_a[:, k],
            alone_b=alone_b[:, k],
            parts=Estimate(parts.replicas[:, k], parts.seeds[:, k], parts.sampling[:, k]),
        )
        for k, name in enumerate(names)
    ]


def _train(question: Question, masks: Iterable[int], seconds: float, progress: Count) -> Values:
    """The losses of coalitions, one of which takes about that many seconds."""
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


def own_losses(side: Config, name: str) -> Array:
    """Train a side in its own backend; its losses `(K, R)`. Raises `Diverged`, naming the side."""
    try:
        return losses(side)
    except Diverged as error:
        raise Diverged(f"side {name} in {side.backend.name}: {error}") from error
