"""The certificate of agreement: what was compared, on what, with which result."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness import provenance
from harness.config import Config, flat_params
from harness.limits import LIMITS
from harness.parity.lockstep import Parity


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
        "blind_from": parity.blind_from,
        "settings": {k: v for k, v in flat_params(config).items() if not k.startswith("backend.")},
        "stages": [
            {
                "stage": stage,
                "pair": list(pair),
                "tensor": found.tensor,
                "index": list(found.place),
                "relative_error": _finite(found.error),
                "ulps": _finite(found.ulps),
                "limit": _finite(found.limit),
                "agrees": not found.beyond,
                "note": found.note,
            }
            for (stage, pair), found in parity.differences.items()
        ],
    }


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
    verdict = "The backends agree." if found["agrees"] else "**The backends differ.**"
    if found["first"]:
        verdict += f" First: {' and '.join(found['first_pair'])}, {found['first']}."
    lines = ["# Certificate of agreement", "", verdict, "", f"    {found['command']}", ""]
    lines += ["| | |", "|---|---|"]
    lines += [f"| {key} | {found[key]} |" for key in ("time", "host", "commit", "precision")]
    lines += [f"| steps | {found['steps']} |", f"| seeds | {found['seeds']} |"]
    lines += [f"| {name} | on {device} |" for name, device in found["backends"].items()]
    if found["blind_from"] is not None:
        lines.append(f"| losses | not judged from step {found['blind_from']} on: band too wide |")
    lines += [f"| {name} | {number} |" for name, number in found["versions"].items()]
    lines += ["", "| stage | pair | worst at | relative error | ulp | limit | |"]
    lines += ["|---|---|---|--:|--:|--:|---|"]
    for row in found["stages"]:
        place = f"{row['tensor']} {tuple(row['index']) or ''}"
        values = (row["relative_error"], row["ulps"], row["limit"])
        numbers = " | ".join("–" if value is None else f"{value:.1e}" for value in values)
        verdict = "agrees" if row["agrees"] else "**differs** " + row["note"]
        lines.append(
            f"| {row['stage']} | {' · '.join(row['pair'])} | {place} | {numbers} | {verdict} |"
        )
    lines += ["", "| setting | value |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in found["settings"].items()]
    return "\n".join(lines) + "\n"
