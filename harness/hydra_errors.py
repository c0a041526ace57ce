"""Hydra's and OmegaConf's complaints about a command line, as one line that helps."""

import re
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import OmegaConf

from harness.errors import nearest
from harness.typed import key_of

# Hydra answers `trainer=null`, or `=3`, with a bare ValueError that begins so and names no key.
NO_OPTION = "Config group override must be a string"


def explain(error: Exception, conf: Path, typed: list[str], sweeps: bool = False) -> str:
    """The key, what was received, what would be valid: for any exception of theirs. `typed` is
    the command line, `conf` the folder of the configuration files; `sweeps` says whether -m is an
    option of the command."""
    text = str(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _no_such_option(str(error.missing_cfg_file), list(error.options or []))
    if isinstance(error, OverrideParseException):
        if not key_of(error.override):
            return _no_key(error.override)
        reason = text.splitlines()[0]
        return f"{error.override}: must have the form KEY=VALUE ({reason})."
    if found := re.match(r"(?:Ambiguous value for argument|Sweep parameters) '(.*)'", text):
        return _several_values(found[1], sweeps)
    if text.startswith(NO_OPTION):
        return _no_option_name(typed, conf)
    if found := re.match(r"Sweeping over Hydra's configuration is not supported : '(.*)'", text):
        return f"{found[1]}: Hydra's own keys have one value in a sweep; start a sweep for each."
    if found := re.search(r"Could not (?:override|append|delete)[^']*'([^']+)'", text):
        return _no_such_key(found[1].lstrip("+~"), text, conf)
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def _no_such_option(path: str, options: list[str]) -> str:
    """`task/notebook/summ` was asked for as `task=notebook/summ`."""
    folder, _, _ = path.rpartition("/")
    group, _, below = folder.partition("/")
    if group == "hydra" or not below:
        group, below = folder, ""
    names = [f"{below}/{option}" if below else option for option in options]
    asked = path.removeprefix(f"{group}/")
    valid = f"must be one of {', '.join(names)}." if names else "is not there."
    return f"{group or 'config'}={asked}: {valid}{nearest(asked, names)}"


def _no_key(word: str) -> str:
    """The empty word would not be seen without quotes."""
    return f"{word or repr(word)}: must have the form KEY=VALUE."


def _several_values(word: str, sweeps: bool) -> str:
    """`task=sum,binary` is a sweep, or one value with a comma in it."""
    key, _, value = word.partition("=")
    first = re.match(r"[\w./-]+(?=,)", value)
    one = f" such as {key}={first[0]}" if first else ""
    if sweeps:
        return f"{word}: several values are a sweep; add -m, or give one value{one}."
    return f"{word}: must be one value{one}; only python -m harness -m takes several."


def _no_option_name(typed: list[str], conf: Path) -> str:
    groups = sorted(path.name for path in conf.iterdir() if path.is_dir())
    words = [word for word in typed if not word.startswith(("-", "~"))]
    for word in words:
        if not key_of(word):
            return _no_key(word)
    for word in words:
        key, _, value = word.lstrip("+").partition("=")
        if key in groups and not isinstance(_value(word), str | list):
            options = ", ".join(sorted(path.stem for path in (conf / key).glob("*.yaml")))
            return f"{key}={value}: {key} takes the name of an option: {key}=… with {options}."
    return f"a group takes the name of an option; the groups are {', '.join(groups)}."


def _value(word: str) -> object:
    """What Hydra reads: a name is a string, `3` and `null` are not."""
    return OverridesParser.create().parse_override(word).value()


def _no_such_key(key: str, text: str, conf: Path) -> str:
    """A key that is nowhere, or that belongs to another option of its group."""
    known = known_keys(conf)
    if key in known:
        group = key.partition(".")[0]
        inner = re.search(r"Key '([^']+)' is not in struct", text)
        if inner and not key.endswith(inner[1]):
            return f"{key}: has no entry '{inner[1]}'; add one with +{key}.{inner[1]}=…"
        options = ", ".join(f"{group}={option}" for option in sorted(known[key]))
        return f"{key}: there is no such key here; it belongs to {options}."
    meant = nearest(key, known)
    if not meant:
        group = key.partition(".")[0]
        inside = [k for k in known if k.startswith(f"{group}.")]
        meant = f" Known: {', '.join(inside or [k for k in known if '.' not in k])}."
    return f"{key}: there is no such key.{meant}"


def known_keys(conf: Path) -> dict[str, set[str]]:
    """Every group and dotted key, with the options of its group in which it stands."""
    keys: dict[str, set[str]] = {"experiment": set()}
    for path in sorted(conf.rglob("*.yaml")):
        parts = path.relative_to(conf).with_suffix("").parts
        group = parts[0] if len(parts) > 1 else ""
        if group in ("hydra", "experiment"):
            continue
        if group:
            keys.setdefault(group, set())
        loaded = OmegaConf.load(path)
        for name in loaded if OmegaConf.is_dict(loaded) else ():
            if isinstance(name, str) and not name.startswith("_"):
                key = f"{group}.{name}" if group else name
                keys.setdefault(key, set()).add("/".join(parts[1:]))
    for name in [key for key in keys if key.split(".")[-1] in ("defaults", "hydra")]:
        del keys[name]
    return keys
