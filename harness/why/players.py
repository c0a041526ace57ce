"""Find the settings in which two configurations differ, and those of them that act.

A setting that acts is a player: the configuration of a coalition is A's with the players in it set
to B's values. A field that cannot act here (RMSprop's ε when training with Adam) is no player, and
is listed with what it would need. `RULES` says when a field acts; a test trains both ways for each
of its lines.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from harness.config.schema import Config
from harness.core.losses import gives_logits
from harness.core.model import GATES

# Fields that do not change how a network trains.
NO_SETTINGS = (
    *("semantics.name", "trainer.checkpoint_every", "trainer.keep_checkpoints"),
    *("trainer.save_gradient", "trainer.deterministic"),
)
GROUPS = ("model", "optimizer", "semantics", "trainer")
KINDS = {"model": "cell", "optimizer": "name"}  # if these differ, the whole group is one player
# Pairs of which one may be invalid without the other, so together they are one player.
BUNDLES = (
    ("optimizer.momentum", "optimizer.nesterov"),
    ("trainer.schedule", "trainer.final_lr"),
    ("trainer.batch_size", "trainer.order"),
    ("optimizer.lr", "trainer.learning_rates"),
    ("model.units", "model.head"),
)
# Settings that decide whether others act.
ENABLING = (
    *("model", "model.head", "model.units", "optimizer", "optimizer.momentum", "optimizer.rho"),
    *("optimizer.weight_decay", "semantics.clip_scope", "semantics.last_batch"),
    *("trainer.schedule", "trainer.clip", "trainer.patience", "trainer.batch_size", "precision"),
)


@dataclass(frozen=True)
class Player:
    """A setting, or several that only go together, by dotted keys, with both sides' values."""

    keys: tuple[str, ...]
    a: str
    b: str

    @property
    def name(self) -> str:
        """The keys joined by "and", as in reports."""
        return " and ".join(key.removeprefix("semantics.") for key in self.keys)


@dataclass(frozen=True)
class Idle:
    """A setting that differs but cannot act, and the reason."""

    player: Player
    reason: str


@dataclass(frozen=True)
class Case:
    """The facts that decide whether a field acts."""

    config: Config
    samples: int  # for training
    gpu: bool  # whether it trains on a GPU

    def optimizer(self, name: str) -> bool:
        """Return whether this is the optimiser."""
        return self.config.optimizer.name == name

    @property
    def momentum(self) -> bool:
        """Whether the optimiser has a momentum above 0."""
        return getattr(self.config.optimizer, "momentum", 0.0) > 0

    @property
    def short_batch(self) -> bool:
        """Whether the last batch of an epoch is shorter than the others."""
        size = self.config.trainer.batch_size
        return self.samples > size and self.samples % size > 0

    @property
    def train_loss_counts(self) -> bool:
        """Whether the training loss is compared, which is so without a validation split."""
        return self.config.task.val_fraction == 0


Rule = tuple[Callable[[Case], bool], str]

HEAD: Rule = (lambda c: c.config.model.head == "dense", "model.head=dense")
GRU: Rule = (lambda c: c.config.model.cell == "gru", "model=gru")
ADAM: Rule = (lambda c: c.optimizer("adam"), "optimizer=adam")
RMSPROP: Rule = (lambda c: c.optimizer("rmsprop"), "optimizer=rmsprop")

# Key -> when the field acts, as a function and in words. A field that is not listed always acts.
RULES: dict[str, Rule] = {
    "semantics.init_gates": (
        lambda c: GATES[c.config.model.cell] > 1,
        "model=lstm or model=gru, which have gates",
    ),
    "semantics.forget_bias": (lambda c: c.config.model.cell == "lstm", "model=lstm"),
    "semantics.head_kernel_init": HEAD,
    "semantics.head_bias_init": HEAD,
    "semantics.biases": (lambda c: c.config.model.cell != "gru", "model=rnn or model=lstm"),
    "semantics.gru_biases": GRU,
    "semantics.gru_reset": GRU,
    "semantics.adam_eps": ADAM,
    "semantics.adam_eps_place": ADAM,
    "semantics.beta_powers": (
        lambda c: c.optimizer("adam") and c.config.precision == "float32",
        "optimizer=adam in precision=float32",
    ),
    "semantics.momentum_lr": (
        lambda c: c.momentum and c.config.trainer.schedule != "constant",
        "sgd with momentum and a schedule (else the same to rounding)",
    ),
    "semantics.nesterov": (
        lambda c: c.momentum and getattr(c.config.optimizer, "nesterov", False),
        "sgd with momentum and nesterov",
    ),
    "semantics.rmsprop_rho": (
        lambda c: getattr(c.config.optimizer, "rho", 0.0) is None,
        "optimizer=rmsprop with optimizer.rho=null",
    ),
    "semantics.rmsprop_eps": RMSPROP,
    "semantics.rmsprop_eps_place": RMSPROP,
    "semantics.weight_decay": (
        lambda c: c.config.optimizer.weight_decay > 0 and (c.momentum or not c.optimizer("sgd")),
        "optimizer.weight_decay above 0, and not plain sgd",
    ),
    "semantics.clip_scope": (lambda c: c.config.trainer.clip is not None, "trainer.clip"),
    "semantics.clip_eps": (
        lambda c: c.config.trainer.clip is not None and c.config.semantics.clip_scope != "value",
        "trainer.clip of a norm",
    ),
    "semantics.bce": (lambda c: gives_logits(c.config.task.loss), "a task with binary labels"),
    "semantics.epoch_loss": (
        lambda c: c.train_loss_counts and c.short_batch and c.config.semantics.last_batch == "keep",
        "no validation split, and a short last batch",
    ),
    "semantics.last_batch": (lambda c: c.short_batch, "a last batch that is shorter"),
    "semantics.tf32": (lambda c: c.gpu, "a GPU, and --train-backend torch, keras or jax"),
    "trainer.final_lr": (
        lambda c: c.config.trainer.schedule != "constant",
        "a trainer.schedule that is not constant",
    ),
    "trainer.min_delta": (lambda c: c.config.trainer.patience is not None, "trainer.patience"),
}


def differences(a: Config, b: Config, samples: int, gpu: bool) -> tuple[list[Player], list[Idle]]:
    """Return the settings in which `a` and `b` differ: players, and those that never act.

    A setting never acts if it acts in no coalition of players. `samples` is the number of training
    samples, and `gpu` says whether the coalitions train on a GPU.
    """
    players = [_player(a, b, keys) for keys in _differing(a, b)]
    enabling = [p for p in players if set(p.keys) & set(ENABLING)]
    cases = [
        Case(coalition(a, b, chosen), samples, gpu)
        for count in range(len(enabling) + 1)
        for chosen in itertools.combinations(enabling, count)
    ]
    acting, idle = [], []
    for player in players:
        acts, needs = RULES.get(player.keys[0], (None, ""))
        if acts is None or any(acts(case) for case in cases):
            acting.append(player)
        else:
            idle.append(Idle(player, f"needs {needs}"))
    return acting, idle


def shared_differences(a: Config, b: Config) -> list[Idle]:
    """Return the differences between the sides that are not switched in coalitions."""
    reasons = {
        "device": "counts as part of the frameworks",
        "threads": "changes rounding alone",
    }
    keys = [key for key in reasons if get_value(a, key) != get_value(b, key)]
    return [Idle(_player(a, b, (key,)), reasons[key]) for key in keys]


def coalition(a: Config, b: Config, players: "list[Player] | tuple[Player, ...]") -> Config:
    """Return A's configuration with the values of `players` set to B's."""
    changes: dict[str, Any] = {}
    for key in itertools.chain.from_iterable(player.keys for player in players):
        group, _, name = key.partition(".")
        if name:
            values = changes.get(group, {})
            changes[group] = values | {name: getattr(getattr(b, group), name)}
        else:
            changes[group] = getattr(b, group)
    groups = {
        group: replace(getattr(a, group), **value) if isinstance(value, dict) else value
        for group, value in changes.items()
    }
    return replace(a, **groups)


def _differing(a: Config, b: Config) -> list[tuple[str, ...]]:
    """Return the keys of each player, in the order of the configuration."""
    keys = [f"{group}.{field.name}" for group in GROUPS for field in fields(getattr(a, group))]
    differing: dict[str, None] = {}
    for key in [*keys, "precision"]:
        group = key.partition(".")[0]
        kind = KINDS.get(group)
        if kind and get_value(a, f"{group}.{kind}") != get_value(b, f"{group}.{kind}"):
            differing[group] = None
        elif key not in NO_SETTINGS and get_value(a, key) != get_value(b, key):
            differing[key] = None
    bundles = {keys[0]: keys for keys in BUNDLES if set(keys) <= differing.keys()}
    bundled = {key for keys in bundles.values() for key in keys[1:]}
    return [bundles.get(key, (key,)) for key in differing if key not in bundled]


def get_value(config: Config, key: str) -> Any:
    """Return the value of a dotted key; a null `model.returns` is the one that the task implies."""
    group, _, name = key.partition(".")
    settings = getattr(config, group)
    if key == "model.returns" and settings.returns is None:
        return "every_step" if config.task.every_step else "last"
    return getattr(settings, name) if name else settings


def _player(a: Config, b: Config, keys: tuple[str, ...]) -> Player:
    values = [
        ", ".join(_shown(side, other, key) for key in keys) for side, other in ((a, b), (b, a))
    ]
    return Player(keys, *values)


def _shown(side: Config, other: Config, key: str) -> str:
    """Return a value of `side` as text.

    A group is shown by its kind and the settings that differ from `other`. Settings that `other`
    does not have are shown, too, unless they are off.
    """
    if key not in GROUPS:
        return format_value(get_value(side, key))
    mine, theirs, kind = getattr(side, key), getattr(other, key), KINDS[key]
    names = [f.name for f in fields(mine) if f.name != kind]
    off = (None, False, 0.0)  # such as a momentum of 0
    shown = [
        name
        for name in names
        if getattr(mine, name) != getattr(theirs, name, None)
        and (hasattr(theirs, name) or getattr(mine, name) not in off)
    ]
    settings = [f"{name}={format_value(getattr(mine, name))}" for name in shown]
    return " ".join([getattr(mine, kind), *settings])


def format_value(setting: Any) -> str:
    """Return a value as it is written on the command line, with all of its digits."""
    if setting is None or isinstance(setting, bool):
        return {None: "null", True: "true", False: "false"}[setting]
    return repr(setting).removesuffix(".0") if isinstance(setting, float) else str(setting)
