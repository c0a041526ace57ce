"""Hydra's and OmegaConf's complaints about a command line, as one line that helps."""

import re
from pathlib import Path

from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import OmegaConf

from harness.errors import nearest


def explain(error: Exception, conf: Path) -> str:
    """The key, what was received, what would be valid: for any exception of theirs."""
    text = str(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        options = [o for o in error.options or [] if o]
        valid = f"must be one of {', '.join(options)}." if options else "is not there."
        return f"{group or 'config'}={option}: {valid}{nearest(option, options)}"
    if isinstance(error, OverrideParseException):
        reason = text.splitlines()[0]
        return f"{error.override}: must have the form KEY=VALUE ({reason})."
    if found := re.search(r"Could not (?:override|append|delete)[^']*'([^']+)'", text):
        key = found[1].lstrip("+~")
        return f"{key}: there is no such key.{nearest(key, known_keys(conf))}"
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def known_keys(conf: Path) -> list[str]:
    """Groups and dotted keys of all configuration files, for finding the nearest."""
    keys = set()
    for path in conf.rglob("*.yaml"):
        parts = path.relative_to(conf).parts
        group = parts[0] if len(parts) > 1 else ""
        if group in ("hydra", "experiment"):
            continue
        keys.add(group)
        loaded = OmegaConf.load(path)
        prefix = f"{group}." if group else ""
        names = [k for k in loaded if isinstance(k, str)] if OmegaConf.is_dict(loaded) else []
        keys |= {prefix + key for key in names if not key.startswith("_")}
    return sorted(keys - {"", "defaults", "hydra"} | {"experiment"})
