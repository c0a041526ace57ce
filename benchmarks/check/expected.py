"""The file of expected ratios, with the machine and the versions that they were measured on."""

import json
from pathlib import Path
from typing import Any

from benchmarks.common import report
from benchmarks.common.processes import ROOT
from harness.core.errors import ConfigError, Range, first_line
from harness.system.durable_files import write_new

FILE = ROOT / "benchmarks" / "expected.json"
VALID = Range(1e-9, 1e9)
ANEW = "move it away and measure anew: python -m benchmarks check --write"


def read(path: Path, names: list[str]) -> dict[str, Any]:
    """Return the file's contents, whose `ratios` have all of `names`. Raises `ConfigError`."""
    try:
        contents = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: there is no such file; measure it with: python -m benchmarks check --write "
            f"--expected {path}"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read ({first_line(error)}); {ANEW}") from error
    ratios = contents.get("ratios") if isinstance(contents, dict) else None
    if not isinstance(ratios, dict):
        raise ConfigError(f"{path}: has no ratios; must be what check --write makes; {ANEW}")
    for name in names:
        value: Any = ratios.get(name)
        if type(value) not in (int, float) or value not in VALID:
            told = json.dumps(value)[:40]
            raise ConfigError(f"{path}: {name} is {told}; must be {VALID.describe()}; {ANEW}")
    return contents


def check_new(path: Path) -> None:
    """Raise `ConfigError` if the file is there: it may be of a quieter machine."""
    if path.exists():
        raise _is_there(path)


def write(path: Path, ratios: dict[str, float], command: str, settings: dict[str, Any]) -> None:
    """Write a new file. Raises `ConfigError` if it is there by now, or cannot be written."""
    contents = report.document("check", command, settings)
    contents["ratios"] = {name: round(ratio, 3) for name, ratio in ratios.items()}
    try:
        write_new(path, json.dumps(contents, indent=1, ensure_ascii=False) + "\n")
    except FileExistsError as error:
        raise _is_there(path) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error


def _is_there(path: Path) -> ConfigError:
    return ConfigError(
        f"{path}: is there and is not replaced; move it away, or name another with --expected FILE"
    )
