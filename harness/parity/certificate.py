"""The certificate of agreement: what was compared, on what, with which result."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.config.schema import Config
from harness.config.serialise import flat_params
from harness.core.tolerances import LIMITS
from harness.parity.lockstep import Parity
from harness.parity.stages import steps_compared
from harness.tracking import provenance


def facts(parity: Parity, config: Config, steps: int, command: str) -> dict[str, Any]:
    """Everything that the certificate says, ready for JSON."""
    first = parity.first
    return {
        "agrees": parity.agrees,
        "first": None if first is None else first.sentence(),
        "first_pair": parity.first_pair,
        "command": command,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        **provenance.machine(),
        "backends": parity.devices,
        "seeds": config.seeds,
        "steps": steps,
        "precision": config.precision,
        "limits": vars(LIMITS[config.precision]),
        "not_judged": parity.not_judged,
        "extent": parity.extent,
        "steps_compared": steps_compared(steps),
        "settings": settings(config),
        "stages": [
            {
                "stage": stage,
                "pair": list(pair),
                "tensor": found.tensor,
                "index": list(found.place),
                "relative_error": _finite(found.error) if found.judged else None,
                "ulps": _finite(found.ulps) if found.judged else None,
                "limit": _finite(found.limit),
                "judged": found.judged,
                "agrees": not found.beyond if found.judged else None,
                "note": found.note,
            }
            for (stage, pair), found in parity.differences.items()
        ],
    }


def settings(config: Config) -> dict[str, Any]:
    """The configuration that all backends share, by dotted key."""
    return {k: v for k, v in flat_params(config).items() if not k.startswith("backend.")}


def _finite(number: float) -> float | None:
    """JSON has no infinity: None for what has no size."""
    return number if math.isfinite(number) else None


def write(folder: Path, found: dict[str, Any]) -> list[str]:
    """Write `certificate.json` and `certificate.md`; their names."""
    text = json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / "certificate.json").write_text(text + "\n", encoding="utf-8")
    (folder / "certificate.md").write_text(_markdown(found), encoding="utf-8")
    return ["certificate.json", "certificate.md"]


def _markdown(found: dict[str, Any]) -> str:
    agree = f"The backends agree at {found['extent']}: {found['steps_compared']}."
    verdict = agree if found["agrees"] else "**The backends differ.**"
    if found["first"]:
        verdict += f" First: {' and '.join(found['first_pair'])}, {found['first']}."
    lines = ["# Certificate of agreement", "", verdict, "", f"    {found['command']}", ""]
    lines += ["| | |", "|---|---|"]
    lines += [f"| {key} | {found[key]} |" for key in ("time", "host", "commit", "precision")]
    lines += [f"| steps | {found['steps']}: {found['steps_compared']} |"]
    lines += [f"| seeds | {found['seeds']} |"]
    lines += [f"| {name} | on {device} |" for name, device in found["backends"].items()]
    lines += [
        f"| not judged | {part}: the control band is too wide |" for part in found["not_judged"]
    ]
    lines += [f"| {name} | {number} |" for name, number in found["versions"].items()]
    lines += ["", "| stage | pair | worst at | relative error | ulp | limit | |"]
    lines += ["|---|---|---|--:|--:|--:|---|"]
    lines += map(_row, found["stages"])
    lines += ["", "| setting | value |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in found["settings"].items()]
    return "\n".join(lines) + "\n"


def _row(row: dict[str, Any]) -> str:
    """One stage of one pair, as a line of the Markdown table."""
    place = f"{row['tensor']} {tuple(row['index']) or ''}"
    values = (row["relative_error"], row["ulps"], row["limit"])
    numbers = " | ".join("–" if value is None else f"{value:.1e}" for value in values)
    verdicts = {True: "agrees", False: f"**differs** {row['note']}", None: "not judged"}
    verdict = verdicts[row["agrees"]]
    return f"| {row['stage']} | {' · '.join(row['pair'])} | {place} | {numbers} | {verdict} |"
