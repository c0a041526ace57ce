"""Print what `steps` has measured as the tables of docs/speed.md, in Markdown."""

import argparse
from collections.abc import Iterator

from benchmarks.common.report import Sheet, markdown_table
from benchmarks.tables import roofline, speed
from benchmarks.tables.measured import Measured, read
from harness.core.errors import ConfigError


def run(options: argparse.Namespace, command: str) -> int:
    """Carry out the verb `tables`; return the exit code."""
    files = [read(path) for path in options.files]
    sheets = [*speed.sheets(files), roofline.sheet(files)]
    shown = [sheet for sheet in sheets if sheet.rows]
    if not shown:
        names = ", ".join(map(str, options.files))
        raise ConfigError(f"{names}: no contestant has a time; measure: python -m benchmarks steps")
    print("\n".join(_lines(shown, files, command)))
    return 0


def _lines(sheets: list[Sheet], files: list[Measured], command: str) -> Iterator[str]:
    for sheet in sheets:
        yield from ("", f"**{sheet.title}**", "", *markdown_table(sheet))
    yield ""
    for document in (file.document for file in files):
        yield f"    {document['command']}"
        machine = f"{document['processor']}, {document['cores']} cores"
        versions = (f"{n.removeprefix('version.')} {v}" for n, v in document["versions"].items())
        yield f"    # {document['time']}, {machine}, {', '.join(versions)}"
    yield f"    {command}"
