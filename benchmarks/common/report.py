"""Write results: tables on the console and in Markdown, everything in JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.common import machine
from harness.system.durable_files import write_files

Document = dict[str, Any]


@dataclass(frozen=True)
class Sheet:
    """A table; the first `words` columns hold words, the others numbers."""

    title: str
    columns: list[str]
    words: int
    rows: list[list[str]] = field(default_factory=list)


def document(kind: str, command: str, settings: dict[str, Any]) -> Document:
    """Return the part that all results share: command, time, machine and settings."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"kind": kind, "command": command, "time": now, **machine.facts(), "settings": settings}


def new_folder(results: Path) -> Path:
    """Create `benchmarks/YYYYMMDD-HHMMSS` in the results, with a number where that exists."""
    name, number = datetime.now().strftime("%Y%m%d-%H%M%S"), 1
    folder = results / "benchmarks" / name
    while folder.exists():
        number += 1
        folder = results / "benchmarks" / f"{name}-{number}"
    folder.mkdir(parents=True)
    return folder


def save(folder: Path, results: Document, sheets: list[Sheet], notes: list[str]) -> None:
    """Write `benchmark.json` and `benchmark.md`, which shows `benchmark.png`."""
    picture = [f"![{results['kind']}](benchmark.png)", ""]
    save_as(folder / "benchmark", results, sheets, notes, picture)


def save_as(
    path: Path,
    results: Document,
    sheets: list[Sheet],
    notes: list[str],
    picture: Sequence[str] = (),
) -> None:
    """Write `path` with the endings .json and .md; earlier ones are replaced as a whole."""
    text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False)
    markdown = _markdown(results, sheets, notes, picture)
    write_files({path.with_suffix(".json"): text + "\n", path.with_suffix(".md"): markdown})


def _markdown(
    results: Document, sheets: list[Sheet], notes: list[str], picture: Sequence[str]
) -> str:
    lines = [f"# Benchmark: {results['kind']}", "", f"    {results['command']}", ""]
    for sheet in sheets:
        lines += [f"## {sheet.title}", "", *markdown_table(sheet), ""]
    lines += [f"- {note}" for note in notes]
    lines += ["", *picture, "| | |", "|---|---|"]
    lines += [_line([key, str(results[key])]) for key in ("time", "host", "machine", "commit")]
    lines += [_line(["processor", f"{results['processor']}, {results['cores']} cores"])]
    lines += [_line([key, str(value)]) for key, value in results["settings"].items()]
    lines += [_line([name, number]) for name, number in results["versions"].items()]
    return "\n".join(lines) + "\n"


def markdown_table(sheet: Sheet) -> list[str]:
    """Return the lines of a table, without its title."""
    columns = [column.replace("\n", " ") for column in sheet.columns]
    rule = [*["---"] * sheet.words, *["--:"] * (len(columns) - sheet.words)]
    return [_line(columns), _line(rule), *map(_line, sheet.rows)]


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def show(sheets: list[Sheet], notes: list[str], screen: Console) -> None:
    """Print the tables and the notes."""
    for sheet in sheets:
        table = Table(
            box=SIMPLE_HEAD, title=sheet.title, title_justify="left", padding=(0, 1, 0, 0)
        )
        for place, column in enumerate(sheet.columns):
            numbers = place >= sheet.words
            table.add_column(column, justify="right" if numbers else "left", overflow="fold")
        for row in sheet.rows:
            table.add_row(*map(escape, row))
        screen.print(table)
    for note in notes:
        screen.print(f"  {note}", markup=False, highlight=False)


def say_where(folder: Path, following: str, screen: Console) -> None:
    """Print where the results are and the command to type next."""
    screen.print(f"\n  results  {folder}/benchmark.md, .json, .png", soft_wrap=True)
    screen.print(f"  next     {following}", soft_wrap=True)
