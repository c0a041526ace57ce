"""A section that a sweep puts before the comparison of its runs: text, tables, a picture."""

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from harness.reporting.tables import formatted, markdown_table
from harness.system.durable_files import Content


@dataclass(frozen=True, kw_only=True)
class Section:
    """What the section says; `draw` writes the picture to `picture`, a file beside the report."""

    title: str  # of the whole report
    text: str
    commands: Sequence[str]
    tables: Mapping[str, pd.DataFrame]  # by title
    picture: str
    draw: Content


def markdown_parts(section: Section | None) -> list[str]:
    """Return the section as blocks of Markdown; none without a section."""
    if section is None:
        return []
    parts = [section.text, *(f"    {command}" for command in section.commands)]
    parts.append(f"![{section.title}]({section.picture})")
    for title, table in section.tables.items():
        parts += [f"## {title}", markdown_table(table)]
    return [*parts, "## Runs"]


def html_parts(section: Section | None, folder: Path) -> list[str]:
    """Return the section as HTML, with its picture, which is in `folder`."""
    if section is None:
        return []
    parts = [f"<p>{html.escape(section.text)}</p>"]
    parts += [f"<pre>{html.escape(command)}</pre>" for command in section.commands]
    parts.append(picture_in(folder / section.picture, section.title))
    for title, table in section.tables.items():
        parts.append(f"<h2>{html.escape(title)}</h2>")
        parts.append(f"<div>{formatted(table).to_html(index=False, border=0)}</div>")
    return [*parts, "<h2>Runs</h2>"]


def picture_in(path: Path, shows: str) -> str:
    """Return a PNG file as HTML that needs no other file; `shows` describes it in words."""
    content = base64.b64encode(path.read_bytes()).decode()
    return f"<img alt='{html.escape(shows)}' src='data:image/png;base64,{content}'>"
