"""The certificate of agreement: what was compared, on which machine, and the result."""

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
    """Return all contents of the certificate, ready for JSON."""
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
                "tensor": difference.tensor,
                "index": list(difference.index),
                "relative_error": _finite(difference.error) if difference.judged else None,
                "ulps": _finite(difference.ulps) if difference.judged else None,
                "limit": _finite(difference.limit),
                "judged": difference.judged,
                "agrees": not difference.beyond if difference.judged else None,
                "note": difference.note,
            }
            for (stage, pair), difference in parity.differences.items()
        ],
    }


def settings(config: Config) -> dict[str, Any]:
    """Return the configuration that all backends share, by dotted key."""
    return {k: v for k, v in flat_params(config).items() if not k.startswith("backend.")}


def _finite(number: float) -> float | None:
    """Return None for a number that is not finite, which JSON lacks."""
    return number if math.isfinite(number) else None


def write(folder: Path, contents: dict[str, Any]) -> list[str]:
    """Write `certificate.json` and `certificate.md`, and return their names."""
    text = json.dumps(contents, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / "certificate.json").write_text(text + "\n", encoding="utf-8")
    (folder / "certificate.md").write_text(_markdown(contents), encoding="utf-8")
    return ["certificate.json", "certificate.md"]


def _markdown(contents: dict[str, Any]) -> str:
    agree = f"The backends agree at {contents['extent']}: {contents['steps_compared']}."
    verdict = agree if contents["agrees"] else "**The backends differ.**"
    if contents["first"]:
        verdict += f" First: {' and '.join(contents['first_pair'])}, {contents['first']}."
    lines = ["# Certificate of agreement", "", verdict, "", f"    {contents['command']}", ""]
    lines += ["| | |", "|---|---|"]
    lines += [f"| {key} | {contents[key]} |" for key in ("time", "host", "commit", "precision")]
    lines += [f"| steps | {contents['steps']}: {contents['steps_compared']} |"]
    lines += [f"| seeds | {contents['seeds']} |"]
    lines += [f"| {name} | on {device} |" for name, device in contents["backends"].items()]
    lines += [
        f"| not judged | {part}: the control band is too wide |" for part in contents["not_judged"]
    ]
    lines += [f"| {name} | {number} |" for name, number in contents["versions"].items()]
    lines += ["", "| stage | pair | worst at | relative error | ulp | limit | |"]
    lines += ["|---|---|---|--:|--:|--:|---|"]
    lines += map(_row, contents["stages"])
    lines += ["", "| setting | value |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in contents["settings"].items()]
    return "\n".join(lines) + "\n"


def _row(row: dict[str, Any]) -> str:
    """Return one stage of one pair as a line of the Markdown table."""
    place = f"{row['tensor']} {tuple(row['index']) or ''}"
    values = (row["relative_error"], row["ulps"], row["limit"])
    numbers = " | ".join("–" if value is None else f"{value:.1e}" for value in values)
    verdicts = {True: "agrees", False: f"**differs** {row['note']}", None: "not judged"}
    verdict = verdicts[row["agrees"]]
    return f"| {row['stage']} | {' · '.join(row['pair'])} | {place} | {numbers} | {verdict} |"
