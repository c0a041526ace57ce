"""Reword the errors of Hydra and OmegaConf about a command line as one line."""

import re
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import OmegaConf

from harness.config.overrides import TEXTS, key_of
from harness.console.command_line import override, shell_word
from harness.core.errors import first_line, nearest

# Hydra answers `trainer=null`, or `=3`, with a ValueError that begins so and names no key.
NO_OPTION = "Config group override must be a string"


def explain(error: BaseException, conf: Path, typed: list[str], sweeps: bool = False) -> str:
    """Return one line for any of their exceptions: the key, the received value, what is valid.

    `typed` is the command line, `conf` the folder of the configuration files. `sweeps` says whether
    the command has the option -m.
    """
    text = str(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _no_such_option(str(error.missing_cfg_file), list(error.options or []))
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override, text.splitlines())
    if match := re.match(r"(?:Ambiguous value for argument|Sweep parameters) '(.*)'", text):
        return _several_values(match[1], sweeps)
    if text.startswith("Could not override ''"):
        return _no_key(next((word for word in typed if word.startswith("=")), "="))
    if text.startswith(NO_OPTION):
        return _no_option_name(typed, conf)
    if match := re.match(r"Sweeping over Hydra's configuration is not supported : '(.*)'", text):
        return f"{match[1]}: Hydra's own keys have one value in a sweep; start a sweep for each."
    if match := re.search(r"Could not (?:override|append|delete)[^']*'([^']+)'", text):
        return _no_such_key(match[1].lstrip("+~"), text, conf, typed)
    if match := re.match(r"Error merging override (.*)", text, re.S):
        return f"{match[1]}: cannot be used ({first_line(error.__cause__ or error)})."
    if match := re.match(r"Additional config directory '(.*)' not found", text):
        return f"--config-dir {match[1]}: there is no such folder."
    if match := re.match(r"Primary config \w+ '(.*)' not found", text):
        return f"--config-path {match[1]}: there is no such folder; give its absolute path."
    if match := re.search(r"^\s*full_key: (\S+)", text, re.MULTILINE):  # OmegaConf's second line
        return f"{match[1]}: {first_line(error).rstrip('.')}."
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def _no_such_option(path: str, options: list[str]) -> str:
    """Return the message for an option that is not there.

    Hydra names it by its path `task/notebook/summ`; the user typed `task=notebook/summ`.
    """
    folder, _, _ = path.rpartition("/")
    if not folder:
        return f"--config-name {path}: there is no such file; without this option it is config."
    group, _, below = folder.partition("/")
    if group == "hydra" or not below:
        group, below = folder, ""
    names = [f"{below}/{option}" if below else option for option in options]
    option = path.removeprefix(f"{group}/")
    valid = f"must be one of {', '.join(names)}." if names else "is not there."
    return f"{group}={option}: {valid}{nearest(option, names)}"


def _no_key(word: str) -> str:
    # Without quotes an empty word would not be visible.
    return f"{word or repr(word)}: must have the form KEY=VALUE."


# Lines of the parser that speak of its grammar and do not help a user.
GRAMMAR_LINES = (
    r"mismatched|Lexer|no viable|token recog|extraneous|missing |Error parsing|See http|\s*\^?$"
)


def _unreadable(word: str, lines: list[str]) -> str:
    """Return the message for a word that Hydra cannot parse, with the quotes that it needs.

    `lines` are those of Hydra's own message.
    """
    reason = next((f" ({line})" for line in lines if not re.match(GRAMMAR_LINES, line)), "")
    key, equals, value = word.partition("=")
    if not key_of(word):
        return _no_key(word)
    if not equals or not re.fullmatch(r"[+]{0,2}[\w./@:-]+", key, re.ASCII) or value[:1] in "'\"":
        return f"{word}: must have the form KEY=VALUE{reason}."
    return f"{word}: Hydra cannot read this{reason}; as one text, type {_pasted(key, value)}."


def _pasted(key: str, value: str) -> str:
    return shell_word(override(key, value))


def _several_values(word: str, sweeps: bool) -> str:
    """Return the message for `task=sum,binary`: a sweep, or one value with a comma in it."""
    key, _, value = word.partition("=")
    if key in TEXTS and not value.startswith("["):
        many = "add -m for a sweep" if sweeps else "only python -m harness -m takes several"
        text = value.replace("\\,", ",")
        return f"{word}: several values; {many}, or as one text, type {_pasted(key, text)}."
    first = re.match(r"[\w./-]+(?=,)", value)
    example = f" such as {key}={first[0]}" if first else ""
    if sweeps:
        return f"{word}: several values are a sweep; add -m, or give one value{example}."
    return f"{word}: must be one value{example}; only python -m harness -m takes several."


def _no_option_name(typed: list[str], conf: Path) -> str:
    groups = sorted(path.name for path in conf.iterdir() if path.is_dir() and path.name != "hydra")
    words = [word for word in typed if not word.startswith(("-", "~"))]
    for word in words:
        if not key_of(word):
            return _no_key(word)
    for word in words:
        key, _, value = word.lstrip("+").partition("=")
        if key in groups and not isinstance(_value(word), str | list):
            options = ", ".join(sorted(path.stem for path in (conf / key).glob("*.yaml")))
            none = "; for none, leave it out" if key == "experiment" else ""
            return (
                f"{key}={value}: {key} takes the name of an option: {key}=… with {options}{none}."
            )
    return f"a group takes the name of an option; the groups are {', '.join(groups)}."


def _value(word: str) -> object:
    """Return the value that Hydra reads: a name is a string, `3` and `null` are not."""
    return OverridesParser.create().parse_override(word).value()


def _no_such_key(key: str, text: str, conf: Path, typed: list[str]) -> str:
    """Return the message for a key that does not exist, or only in other options of its group."""
    known = known_keys(conf)
    if key.startswith("hydra."):
        return f"{key}: Hydra has no such key; python -m harness --cfg hydra prints those it has."
    if known.get(key):
        group = key.partition(".")[0]
        inner = re.search(r"Key '([^']+)' is not in struct", text)
        if inner and not key.endswith(inner[1]):
            return f"{key}: has no entry '{inner[1]}'; add one with +{key}.{inner[1]}=…"
        options = ", ".join(f"{group}={option}" for option in sorted(known[key]))
        chosen = [word for word in typed if word.startswith(f"{group}=")]
        problem = f"{chosen[-1]} has no such key" if chosen else "there is no such key here"
        return f"{key}: {problem}; it belongs to {options}."
    suggestion = nearest(key, known)
    if not suggestion:
        group = key.partition(".")[0]
        inside = [k for k in known if k.startswith(f"{group}.")]
        suggestion = f" Known: {', '.join(inside or [k for k in known if '.' not in k])}."
    return f"{key}: there is no such key.{suggestion}"


def known_keys(conf: Path) -> dict[str, set[str]]:
    """Return every group and dotted key, with the options of the group that have the key."""
    keys: dict[str, set[str]] = {"experiment": set()}
    for path in sorted(conf.rglob("*.yaml")):
        parts = path.relative_to(conf).with_suffix("").parts
        group = parts[0] if len(parts) > 1 else ""
        if group in ("hydra", "experiment"):
            continue
        if group:
            keys.setdefault(group, set())
        for name in _names(path, conf):
            key = f"{group}.{name}" if group else name
            keys.setdefault(key, set()).add("/".join(parts[1:]))
    for name in [key for key in keys if key.split(".")[-1] in ("defaults", "hydra")]:
        del keys[name]
    return keys


def _names(path: Path, conf: Path) -> set[str]:
    """Return the keys in a file and in its defaults, such as `next_value`, `/task/sum@_here_`."""
    loaded: Any = OmegaConf.load(path)
    if not OmegaConf.is_dict(loaded):
        return set()
    names = {name for name in loaded if isinstance(name, str) and not name.startswith("_")}
    options = [str(option).removesuffix("@_here_") for option in loaded.get("defaults", [])]
    files = [
        (conf if o.startswith("/") else path.parent) / f"{o.lstrip('/')}.yaml" for o in options
    ]
    return names.union(*(_names(file, conf) for file in files if file.is_file()))
