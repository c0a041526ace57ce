"""Changes between a run and the run that resumes it: which are refused, and which are logged."""

import logging
from typing import Any

from harness.config.schema import Config
from harness.config.serialise import FIXED_BY_BACKEND, flat_composed, flatten, nested_params
from harness.core.errors import ConfigError

log = logging.getLogger(__name__)

OWN = ("resume", "checkpoint", "results")  # keys that are not taken from the old run
FIXED = ("task", "model", "seed", "replicas", "optimizer.name")  # keys that must not change


def check_changes(old: Any, new: Any, word: str) -> None:
    """Raise `ConfigError` for a key that must stay as it was in the run `word`."""
    before, now = map(flat_composed, (old, new))
    gru = ("semantics.gru_biases", "semantics.gru_reset")
    fixed = {*FIXED, *(gru if old.model.cell == "gru" else ("semantics.biases",))}
    if before.get("optimizer.momentum"):  # decides whether lr is part of the velocity
        fixed.add("semantics.momentum_lr")
    changed = [key for key in now if key not in OWN and before.get(key) != now[key]]
    for key in sorted(changed, key=lambda k: k.endswith("_target_")):
        if key in fixed or key.partition(".")[0] in fixed:
            was = before.get(key, "without")
            raise ConfigError(
                f"{key}={now[key]}: must stay {was}, as in resume={word}; leave it out."
            )


def log_changes(old: Any, new: Config, checkpoint: str) -> None:
    """Log which checkpoint the run starts from, and which keys differ from the old run."""
    before, now = flat_composed(old), flatten(nested_params(new))
    changed = changed_keys(old, new)
    words = ", ".join(f"{key}={now[key]}" for key in changed)
    log.info("goes on from %s of %s; changed: %s", checkpoint, new.resume, words or "nothing")
    if "trainer.epochs" in changed and new.trainer.schedule != "constant":
        log.info(
            "trainer.schedule=%s spreads over all epochs, %s then and %s now: the learning rate "
            "jumps here, and the curve is that of neither run uninterrupted",
            new.trainer.schedule,
            before["trainer.epochs"],
            new.trainer.epochs,
        )


def changed_keys(old: Any, new: Config) -> list[str]:
    """Return the keys of settings that differ from those of the old run."""
    before, now = flat_composed(old), flatten(nested_params(new))
    return [key for key in now if key in before and before[key] != now[key] and _is_logged(key)]


def _is_logged(key: str) -> bool:
    return key not in OWN and key.removeprefix("backend.") not in FIXED_BY_BACKEND
