"""The answer as semantics: the nearest preset, what differs from it, and the file to use it by."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from harness.config.semantics_table import preset
from harness.console.command_line import override
from harness.core.errors import ConfigError
from harness.core.semantics import Semantics
from harness.identify.candidates import Rules, idle
from harness.identify.case import Case
from harness.identify.judge import judged
from harness.identify.replay import losses
from harness.identify.search import Found
from harness.identify.verdict import HIDDEN, Verdict


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Semantics: those that the losses show, and a preset's where they show nothing."""

    preset: str
    changed: dict[str, Any]  # rule -> value, where it is not the preset's
    semantics: Semantics


def answer(
    case: Case, found: Found, verdicts: Sequence[Verdict], presets: Sequence[str], name: str
) -> Answer:
    """Return the preset that the fewest visible rules contradict, the first of equals.

    Rules that are not visible one by one may be so together: where the preset's do not fit, theirs
    are those of the candidate that was found.
    """
    acting = [v for v in verdicts if v.key.startswith("semantics.") and not v.idle]
    shown = [verdict for verdict in acting if verdict.word != HIDDEN]
    nearest = min((_from(base, shown, name) for base in presets), key=lambda a: len(a.changed))
    if _fits(case, found, nearest.semantics):
        return nearest
    every = [replace(verdict, also=()) for verdict in acting]
    return min((_from(base, every, name) for base in presets), key=lambda a: len(a.changed))


def _fits(case: Case, found: Found, semantics: Semantics) -> bool:
    own = {f"semantics.{name}": value for name, value in asdict(semantics).items()}
    rules = found.rules | {key: own[key] for key in found.rules if key in own}
    curve = losses(case, [rules], len(case.losses))[:, 0]
    return judged(case, curve, found.bands).fits


def _from(base: str, shown: Sequence[Verdict], name: str) -> Answer:
    values: dict[str, Any] = asdict(preset(base))
    changed: dict[str, Any] = {}
    for verdict in shown:
        rule = verdict.key.removeprefix("semantics.")
        if values[rule] not in (verdict.value, *verdict.also):
            changed[rule] = verdict.value
    values |= changed | {"name": name}
    return Answer(preset=base, changed=changed, semantics=Semantics(**values))


def sentence(answer: Answer, rules: Rules, verdicts: Sequence[Verdict]) -> str:
    """Return the answer in one sentence."""
    parts = [f"{rule}={value}" for rule, value in answer.changed.items()]
    text = f"semantics={answer.preset}"
    text += f" with {' and '.join(parts)}" if parts else ""
    if rules["trainer.clip"] is not None:
        text += f", clipping at {rules['trainer.clip']:g}"
        if any(v.key == "trainer.clip" and v.also for v in verdicts):
            text += " or at another of the limits above"
    return f"Your program trains by {rules['optimizer']} as {text}."


def words(answer: Answer, rules: Rules, case: Case) -> list[str]:
    """Return the words of a command line that trains by these rules, but for the task."""
    model = case.model
    found = [
        override("semantics", answer.semantics.name),
        f"model={model.cell}",
        f"model.units={model.units}",
        f"model.layers={model.layers}",
        f"model.head={model.head}",
        f"precision={case.precision}",
        f"optimizer={rules['optimizer']}",
    ]
    if (case.lr == case.lr[0]).all():
        found.append(f"optimizer.lr={case.lr[0]:g}")
    names = [n for n in rules if n.startswith(("optimizer.", "trainer.", "model.act"))]
    for name in names:
        if rules[name] is not None and not idle(name, rules, case):
            found.append(f"{name}={str(rules[name]).lower()}")
    return found


def name_of(folder: Path, stated: str | None) -> str:
    """Return the name of the semantics: `stated`, or by default the recording's folder's."""
    name = stated or re.sub(r"\W+", "_", folder.resolve().name, flags=re.ASCII).strip("_")
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        raise ConfigError(f"--name {name}: must be letters, digits and _, and begin with a letter.")
    return name


def check_free(path: Path) -> None:
    """Raise `ConfigError` if there is a file already, which would be replaced."""
    if path.exists():
        raise ConfigError(f"{path}: is there already; choose another --name or --out.")


def write(path: Path, answer: Answer, verdicts: Sequence[Verdict], recording: Path) -> None:
    """Write the file of the semantics, its rules with what the recording says of each."""
    said = {v.key.removeprefix("semantics."): v.word for v in verdicts}
    lines = [
        f"# Identified by harness identify from the recording {recording.name!r}. Rules without a",
        f"# remark do not act on single losses: they and what is hidden are {answer.preset}'s.",
    ]
    for field in fields(answer.semantics):
        value = yaml.safe_dump({field.name: getattr(answer.semantics, field.name)}).strip()
        remark = said.get(field.name)
        lines.append(value if remark is None else f"{value} # {remark}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        reason = error.strerror
        raise ConfigError(f"{path}: cannot be written ({reason}); choose another --out.") from error
