"""The words of a command line: which key one sets, and what Hydra needs to read them as meant."""

import os.path
import re

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from harness.config.tracking_store import absolute
from harness.console.arguments import OPTIONS_WITH_VALUE
from harness.console.command_line import PLAIN, quoted

# Keys whose value may be any text, and those of them that name a folder.
TEXTS = ("results", "resume", "checkpoint", "task.name", "tracking.uri", "tracking.experiment")
TEXTS += ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.job.name")
FOLDERS = ("results", "resume", "hydra.run.dir", "hydra.sweep.dir")


def key_of(override: str) -> str:
    """`precision` of `++precision=float32`: Hydra's +, ++ and ~ are no part of the key. Empty
    where there is none."""
    return override.lstrip("+~").partition("=")[0].strip()


def typed(words: list[str]) -> list[str]:
    """A command line as Hydra can compose it. Before it composes a run it composes the default
    options, in which a key of another task or optimiser is missing; so keys are added (`++`) to
    groups that a resumed run or a sweep decides on, and whoever has that run or that job says
    whether the key is there."""
    words = readable(words)
    if any(word.startswith("resume=") and word != "resume=null" for word in words):
        groups = r"(?!hydra\.)\w+"
    else:
        swept = _swept_groups(words)
        groups = r"(?!hydra\.)\w+" if "experiment" in swept else "|".join(swept)
    if not groups:
        return words
    return [re.sub(rf"^(?=({groups})\.[\w.]+=)", "++", word) for word in words]


def as_typed(overrides: list[str]) -> list[str]:
    """The same words without what `typed` has put in front of them."""
    return [word.removeprefix("++") for word in overrides]


def _swept_groups(words: list[str]) -> list[str]:
    """The groups of which a sweep takes several options."""
    if not {"-m", "--multirun"} & set(words):
        return []
    groups = [word for word in words if re.match(r"\w+=", word)]
    return [key_of(word) for word in groups if _sweeps(word)]


def readable(words: list[str]) -> list[str]:
    """The words with quotes where Hydra's grammar needs some and only one thing can be meant."""
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
        value = os.path.expanduser(value)  # a shell does so only at the beginning of a word
    if key == "tracking.uri":
        value = absolute(value)
    if key not in TEXTS and _parsed(word) is not None:
        return word
    return f"{head}={_text(value)}"


def _text(value: str) -> str:
    """A value that is any text: several between commas, with -m. Left as it is where it may be
    written in Hydra's own grammar, and where it cannot be known how far a text goes."""
    if value[:1] in ("", "'", '"') or value == "null":
        return value
    if set(value) & set("[]{}()'\"\\"):
        parsed = "," in value or _parsed(f"_={value}") is not None
        return value if parsed else quoted(value)
    return ",".join(v if PLAIN.fullmatch(v) else quoted(v) for v in value.split(","))


def _parsed(word: str) -> Override | None:
    """Hydra's own reading of a word; None if it cannot read it."""
    try:
        return OverridesParser.create().parse_override(word)
    except HydraException:
        return None


def _sweeps(word: str) -> bool:
    parsed = _parsed(word)
    return parsed is not None and parsed.is_sweep_override()
