"""The certificate of agreement: what was compared, on which machine, and the result."""

import json
import math
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.config.schema import Config
from harness.config.serialise import flat_params
from harness.core.difference import Difference
from harness.core.tolerances import LIMITS
from harness.parity.lockstep import Names, Parity
from harness.parity.stages import steps_compared
from harness.system.durable_files import write_files
from harness.tracking import provenance

FORMAT = 1  # counted up when a field changes its meaning


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """The largest difference of one stage between two backends.

    Numbers are None where the stage was not judged, or where they are not finite.
    """

    stage: str
    pair: Names
    tensor: str
    index: tuple[int, ...]
    relative_error: float | None
    ulps: float | None
    limit: float | None
    judged: bool
    agrees: bool | None
    note: str


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """The contents of `certificate.json`."""

    format: int = FORMAT
    agrees: bool
    first: str | None  # the first difference beyond its limit, in words
    first_pair: Names | None
    command: str
    time: str  # ISO 8601, UTC
    versions: dict[str, str]
    host: str
    machine: str
    commit: str | None
    backends: dict[str, str]  # name -> device
    seeds: list[int]
    steps: int
    precision: str
    limits: dict[str, float]
    not_judged: list[str]
    extent: str
    steps_compared: str
    settings: dict[str, Any]
    stages: list[StageResult]


def certify(parity: Parity, config: Config, steps: int, command: str) -> Certificate:
    """Return the certificate of a comparison over so many steps."""
    first = parity.first
    return Certificate(
        agrees=parity.agrees,
        first=None if first is None else first.sentence(),
        first_pair=parity.first_pair,
        command=command,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        **provenance.machine(),
        backends=dict(parity.devices),
        seeds=config.seeds,
        steps=steps,
        precision=config.precision,
        limits=asdict(LIMITS[config.precision]),
        not_judged=list(parity.not_judged),
        extent=parity.extent,
        steps_compared=steps_compared(steps),
        settings=settings(config),
        stages=[_stage(*key, difference) for key, difference in parity.differences.items()],
    )


def _stage(stage: str, pair: Names, difference: Difference) -> StageResult:
    judged = difference.judged
    return StageResult(
        stage=stage,
        pair=pair,
        tensor=difference.tensor,
        index=tuple(difference.index),
        relative_error=_finite(difference.error) if judged else None,
        ulps=_finite(difference.ulps) if judged else None,
        limit=_finite(difference.limit),
        judged=judged,
        agrees=not difference.beyond if judged else None,
        note=difference.note,
    )


def settings(config: Config) -> dict[str, Any]:
    """Return the configuration that all backends share, by dotted key."""
    return {k: v for k, v in flat_params(config).items() if not k.startswith("backend.")}


def _finite(number: float) -> float | None:
    """Return None for a number that is not finite, which JSON lacks."""
    return number if math.isfinite(number) else None


def write(folder: Path, certificate: Certificate) -> list[str]:
    """Write `certificate.json` and `certificate.md`, and return their names."""
    text = json.dumps(asdict(certificate), indent=1, ensure_ascii=False, allow_nan=False)
    files = {"certificate.json": text + "\n", "certificate.md": _markdown(certificate)}
    write_files({folder / name: content for name, content in files.items()})
    return list(files)


def _markdown(c: Certificate) -> str:
    agree = f"The backends agree at {c.extent}: {c.steps_compared}."
    verdict = agree if c.agrees else "**The backends differ.**"
    if c.first and c.first_pair:
        verdict += f" First: {' and '.join(c.first_pair)}, {c.first}."
    lines = ["# Certificate of agreement", "", verdict, "", f"    {c.command}", ""]
    lines += ["| | |", "|---|---|"]
    lines += [f"| time | {c.time} |", f"| host | {c.host} |", f"| commit | {c.commit} |"]
    lines += [f"| precision | {c.precision} |", f"| steps | {c.steps}: {c.steps_compared} |"]
    lines += [f"| seeds | {c.seeds} |"]
    lines += [f"| {name} | on {device} |" for name, device in c.backends.items()]
    lines += [f"| not judged | {part}: the control band is too wide |" for part in c.not_judged]
    lines += [f"| {name} | {number} |" for name, number in c.versions.items()]
    lines += ["", "| stage | pair | worst at | relative error | ulp | limit | |"]
    lines += ["|---|---|---|--:|--:|--:|---|"]
    lines += map(_row, c.stages)
    lines += ["", "| setting | value |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in c.settings.items()]
    return "\n".join(lines) + "\n"


def _row(result: StageResult) -> str:
    """Return one stage of one pair as a line of the Markdown table."""
    place = f"{result.tensor} {result.index or ''}"
    values = (result.relative_error, result.ulps, result.limit)
    numbers = " | ".join("–" if value is None else f"{value:.1e}" for value in values)
    verdicts = {True: "agrees", False: f"**differs** {result.note}", None: "not judged"}
    verdict = verdicts[result.agrees]
    return f"| {result.stage} | {' · '.join(result.pair)} | {place} | {numbers} | {verdict} |"
