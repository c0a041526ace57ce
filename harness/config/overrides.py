"""Prepare the overrides of a command line so that Hydra reads them as the user means them."""

import os.path
import re

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from harness.config.tracking_store import absolute
from harness.console.arguments import OPTIONS_WITH_VALUE
from harness.console.command_line import PLAIN, quoted

# Keys whose value may be any text, and keys that name a folder or a file.
TEXTS = (
    "results",
    "resume",
    "sweep.resume",
    "sweep.file",
    "checkpoint",
    "task.name",
    "tracking.uri",
    "tracking.experiment",
    "hydra.run.dir",
    "hydra.sweep.dir",
    "hydra.sweep.subdir",
    "hydra.job.name",
)
ANY_GROUP = r"(?!hydra\.|sweep\.)\w+"
FOLDERS = ("results", "resume", "sweep.resume", "sweep.file", "hydra.run.dir", "hydra.sweep.dir")
# Names and directories of runs may contain a =, too, but only after a dot · or a slash.
OVERRIDE = re.compile(r"\+{0,2}[\w.@]+=|~[^/]", re.ASCII)


def key_of(override: str) -> str:
    """Return the key of an override without Hydra's +, ++ or ~, or an empty string.

    The key of `++precision=float32` is `precision`.
    """
    return override.lstrip("+~").partition("=")[0].strip()


def is_run(word: str) -> bool:
    """Return whether a word names a run, and is not an override."""
    return word != "" and (OVERRIDE.match(word) is None or os.path.isdir(word))


def with_force_add(words: list[str]) -> list[str]:
    """Return the words with `++` before keys that the default options may not have.

    Before Hydra composes a resumed run or a job of a sweep, it composes the default options, in
    which a key of another task or optimiser is missing. So keys are added by force (`++`) in the
    groups that the run or the sweep chooses; a sweep file may choose any. Whether such a key exists
    is checked once the run or the job is known.
    """
    words = readable(words)
    if any(key_of(word) in ("resume", "sweep.file") and word != "resume=null" for word in words):
        groups = ANY_GROUP
    else:
        swept = _swept_groups(words)
        groups = ANY_GROUP if "experiment" in swept else "|".join(swept)
    if not groups:
        return words
    return [re.sub(rf"^(?=({groups})\.[\w.]+=)", "++", word) for word in words]


def without_force_add(overrides: list[str]) -> list[str]:
    """Return the overrides without the `++` of `with_force_add`."""
    return [word.removeprefix("++") for word in overrides]


def _swept_groups(words: list[str]) -> list[str]:
    """Return the groups of which a sweep takes several options."""
    if not {"-m", "--multirun"} & set(words):
        return []
    groups = [word for word in words if re.match(r"\w+=", word)]
    return [key_of(word) for word in groups if _sweeps(word)]


def readable(words: list[str]) -> list[str]:
    """Add the quotes that Hydra's grammar needs to words that can have one meaning only."""
    before = ["", *words]
    return [
        word if word.startswith("-") or last in OPTIONS_WITH_VALUE else _readable(word)
        for last, word in zip(before, words, strict=False)
    ]


def _readable(word: str) -> str:
    head, equals, value = word.partition("=")
    key = key_of(word)
    if not equals or head.startswith("~") or not re.fullmatch(r"[\w./@:-]+", key, re.ASCII):
        return word
    if key in FOLDERS:
        value = os.path.expanduser(value)  # a shell expands ~ only at the beginning of a word
    if key == "tracking.uri":
        value = absolute(value)
    if key not in TEXTS and _parsed(word) is not None:
        return word
    return f"{head}={_text(value)}"


def _text(value: str) -> str:
    """Return a text value in quotes, or several texts between commas, which are a sweep.

    A value that may be in Hydra's grammar already stays as it is, and so does one of which it
    cannot be known where a text ends.
    """
    if value[:1] in ("", "'", '"') or value == "null":
        return value
    if set(value) & set("[]{}()'\"\\"):
        parsed = "," in value or _parsed(f"_={value}") is not None
        return value if parsed else quoted(value)
    return ",".join(v if PLAIN.fullmatch(v) else quoted(v) for v in value.split(","))


def _parsed(word: str) -> Override | None:
    """Return Hydra's parse of a word, or None if it cannot parse it."""
    try:
        return OverridesParser.create().parse_override(word)
    except HydraException:
        return None


def _sweeps(word: str) -> bool:
    parsed = _parsed(word)
    return parsed is not None and parsed.is_sweep_override()
