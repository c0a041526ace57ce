"""Copies of a recorded run in which one thing was changed."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.recorded_files import record_again

Change = Callable[[dict[str, Any]], object]


def copy_of(run: Path, folder: Path) -> Path:
    return Path(shutil.copytree(run, folder / "copy"))


def with_events(run: Path, folder: Path, change: Change) -> Path:
    """A copy with `change` applied to each event of its journal."""
    copy = copy_of(run, folder)
    journal = copy / "journal.jsonl"
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    for event in events:
        change(event)
    journal.write_text("".join(json.dumps(event) + "\n" for event in events))
    return copy


def with_setting(run: Path, folder: Path, key: str, value: object) -> Path:
    """A copy with another value for the only `key` at that depth of its `config.yaml`."""
    copy = copy_of(run, folder)
    config = copy / "config.yaml"
    text, count = re.subn(rf"(?m)^  {key}: .*$", f"  {key}: {value}", config.read_text())
    assert count == 1
    config.write_text(text)
    record_again(copy, "config.yaml")
    return copy


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
