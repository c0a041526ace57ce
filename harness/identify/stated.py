"""The candidates with which a search begins: what the program states, in each preset.

A program's statement may be wrong or say little, so that the presets alone are tried, too.
"""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from harness.config.damaged_files import reading
from harness.config.semantics_table import PRESETS, preset
from harness.core.errors import Range
from harness.core.semantics import RULES, SHARE, Semantics
from harness.identify.candidates import DEFAULTS, LIMITS, NUMBERS, VALUES, Rules
from harness.recorder.recording import FACTS, Recording

KERAS = {
    "momentum": "optimizer.momentum",
    "nesterov": "optimizer.nesterov",
    "beta_1": "optimizer.beta1",
    "beta_2": "optimizer.beta2",
    "weight_decay": "optimizer.weight_decay",
}
CLIPS = {"clipnorm": "variable", "global_clipnorm": "global", "clipvalue": "value"}
TORCH = {key: KERAS[key] for key in ("momentum", "nesterov", "weight_decay")}
LOSSES = {
    "MSELoss": {"loss": "mse"},
    "BCEWithLogitsLoss": {"loss": "bce", "semantics.bce": "logits"},
    "BCELoss": {"loss": "bce", "semantics.bce": "log_clamped"},
    "mse_loss": {"loss": "mse"},
    "binary_cross_entropy_with_logits": {"loss": "bce", "semantics.bce": "logits"},
    "binary_cross_entropy": {"loss": "bce", "semantics.bce": "log_clamped"},
    "mse": {"loss": "mse"},
    "mean_squared_error": {"loss": "mse"},
    "binary_crossentropy": {"loss": "bce"},
}
UNKNOWN = ("amsgrad", "dampening", "centered", "maximize", "ema_overwrite_frequency", "use_ema")
SHARES = ("optimizer.momentum", "optimizer.beta1", "optimizer.beta2", "semantics.rmsprop_rho")
DIGITS = 4  # of a clipping value that is read from norms


def starts(folder: Path, recording: Recording, known: Semantics | None = None) -> list[Rules]:
    """Return candidates, the likeliest first: those with `known` semantics, then with the presets'.

    Raises `ConfigError` for a damaged statement.
    """
    with reading(folder / FACTS, "record the training again (docs/recording.md)"):
        said = _checked(stated(recording))
    likely = [said] if "optimizer" in said else [said | variant for variant in _optimizers()]
    bases = [preset(name) for name in order(recording)]
    presets = [_base(semantics) for semantics in ([known, *bases] if known else bases)]
    found = [rules | variant for rules in presets for variant in likely]
    if likely == [said]:
        found += [rules | {"optimizer": name} for rules in presets for name in VALUES["optimizer"]]
    clipped = product(likely, _clips(recording))
    return [*found, *(presets[0] | variant | clip for variant, clip in clipped)]


def order(recording: Recording) -> list[str]:
    """Return the presets, that of the recording's framework first."""
    return sorted(PRESETS, key=lambda name: name != recording.framework)


def unknown(recording: Recording) -> list[str]:
    """Return the settings that the program states and no rule here has, such as `amsgrad=True`."""
    groups = recording.stated.get("param_groups")
    settings = recording.stated.get("optimizer") if groups is None else (groups or [{}])[0]
    if not isinstance(settings, dict):
        return []
    return [f"{key}={settings[key]}" for key in UNKNOWN if settings.get(key)]


def stated(recording: Recording) -> Rules:
    """Return the settings that a Keras or PyTorch program states of its own rules."""
    if recording.framework == "keras":
        return _keras(recording.stated)
    return _torch(recording.stated) if recording.framework == "torch" else {}


def _base(semantics: Semantics) -> Rules:
    return DEFAULTS | {f"semantics.{rule}": getattr(semantics, rule) for rule in RULES}


def _keras(said: dict[str, Any]) -> Rules:
    settings = said.get("optimizer") or {}
    name = str(said.get("optimizer_class")).lower()
    rules = _optimizer(name.removesuffix("w"))
    rules |= {KERAS[key]: settings[key] for key in KERAS if settings.get(key)}
    if "epsilon" in settings:
        rules |= {f"semantics.{own}_eps": settings["epsilon"] for own in ("adam", "rmsprop")}
    if "rho" in settings:
        rules["semantics.rmsprop_rho"] = settings["rho"]
    for key, scope in CLIPS.items():
        if settings.get(key):
            rules |= {"trainer.clip": settings[key], "semantics.clip_scope": scope}
    return rules | _loss((said.get("compile") or {}).get("loss"))


def _torch(said: dict[str, Any]) -> Rules:
    settings = (said.get("param_groups") or [{}])[0]
    name = str(said.get("optimizer"))
    rules = _optimizer(name.lower().removesuffix("w"))
    rules |= {TORCH[key]: settings[key] for key in TORCH if settings.get(key)}
    if "betas" in settings:
        rules |= dict(zip(("optimizer.beta1", "optimizer.beta2"), settings["betas"], strict=True))
    if "eps" in settings:
        rules |= {f"semantics.{own}_eps": settings["eps"] for own in ("adam", "rmsprop")}
    if "alpha" in settings:
        rules["semantics.rmsprop_rho"] = settings["alpha"]
    if name.endswith("W") or settings.get("decoupled_weight_decay"):
        rules["semantics.weight_decay"] = "decoupled"
    return rules | _loss(str(said.get("loss")).removesuffix("()"))


def _checked(rules: Rules) -> Rules:
    """Return the settings with their numbers as such; raise `ValueError` for other things."""
    numbers = {key: float(value) for key, value in rules.items() if key in NUMBERS}
    for key, value in numbers.items():
        share = SHARE if key in SHARES else Range(0.0)
        if value not in share:
            raise ValueError(f"{key}={value} is stated, and must be {share.describe()}")
    return rules | numbers


def _optimizers() -> list[Rules]:
    """Return what is tried of a program that does not state its optimiser."""
    others = [{"optimizer": name} for name in VALUES["optimizer"] if name != "sgd"]
    settings = [(0.0, False), *product(NUMBERS["optimizer.momentum"][1:], (False, True))]
    sgd = [{"optimizer.momentum": momentum, "optimizer.nesterov": n} for momentum, n in settings]
    return [*others, *({"optimizer": "sgd"} | rules for rules in sgd)]


def _optimizer(name: str) -> Rules:
    return {"optimizer": name} if name in VALUES["optimizer"] else {}


def _loss(name: Any) -> Rules:
    return dict(LOSSES.get(name, {})) if isinstance(name, str) else {}


def _clips(recording: Recording) -> list[Rules]:
    """Return clippings that the program may do by itself: Keras states its own.

    A norm that is clipped as a whole is the limit, but for its ε.
    """
    norms, limits = recording.gradient_norms, LIMITS
    if norms is None and recording.framework == "keras":
        return []
    if norms is not None:
        changed = norms[:, 0] != norms[:, 1]
        seen = norms[changed, 1]
        limits = (float(f"{np.median(seen):.{DIGITS}g}"), *LIMITS) if changed.any() else ()
    return [
        {"trainer.clip": limit, "semantics.clip_scope": scope}
        for scope, limit in product(VALUES["semantics.clip_scope"], limits)
    ]
