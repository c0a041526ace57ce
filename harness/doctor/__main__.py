"""`harness doctor`: find what is wrong with recorded runs and with MLflow; mend it with `--fix`.

Journals are compared with their processes, with the files that they list, and with MLflow.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from harness.console import streams
from harness.console.command_line import counted
from harness.console.progress import Count
from harness.console.terminal import console
from harness.core.errors import ConfigError
from harness.doctor.arguments import parser
from harness.doctor.finding import Finding
from harness.doctor.journal_check import check_directory
from harness.doctor.leftovers import leftovers
from harness.doctor.mlflow_check import check_store
from harness.runs.folders import relative_to_cwd
from harness.system import signals
from harness.tracking import sent
from harness.tracking.destination import Destination
from harness.tracking.journals import described, in_order, journals
from harness.tracking.mlflow_errors import explained


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 1 if something is wrong and not mended."""
    streams.prepare()
    try:
        options = parser().parse_args(arguments)
        directories = in_order(journals(options.words, options.results))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    tops = [Path(word) for word in options.words if Path(word).is_dir()] or [options.results]
    findings = _own_findings(directories, tops)
    rows = [(finding, _outcome(finding, options.fix)) for finding in findings]
    findings = [f for store, runs in _stores(directories).items() for f in check_store(store, runs)]
    rows += [(finding, _outcome(finding, options.fix)) for finding in findings]
    checked = described(directories)
    if not rows:
        print(f"  {checked}: nothing is wrong")
        return 0
    console().print(_table(rows))
    left = sum(1 for _, (mended, _) in rows if not mended)
    print(f"  {checked}: {counted(len(rows), 'finding')}, {len(rows) - left} mended, {left} left")
    return 1 if left else 0


def _own_findings(directories: Sequence[Path], tops: Sequence[Path]) -> list[Finding]:
    findings: list[Finding] = []
    with Count(len(directories), "runs") as progress:
        for directory in directories:
            findings += check_directory(directory)
            progress.update()
    for top in tops:
        findings += leftovers(top)
    return findings


def _stores(directories: Sequence[Path]) -> dict[Destination, list[Path]]:
    """Return the runs by the store in which they are tracked."""
    stores: dict[Destination, list[Path]] = defaultdict(list)
    for directory, place in _places(directories):
        stores[place].append(directory)
    return stores


def _places(directories: Sequence[Path]) -> Iterator[tuple[Path, Destination]]:
    for directory in directories:
        try:
            place = sent.destination(directory)
        except ConfigError:  # `check_directory` has told it
            continue
        if place is not None:
            yield directory, place


def _outcome(finding: Finding, fixes: bool) -> tuple[bool, str]:
    """Return whether the finding is mended now, and what was done or is to be done."""
    if not fixes or finding.fix is None:
        return False, finding.remedy
    try:
        return True, finding.fix()
    except Exception as error:  # whatever a store does
        return False, f"cannot be mended now: {explained(error)}"


def _table(rows: Sequence[tuple[Finding, tuple[bool, str]]]) -> Table:
    table = Table(show_lines=True)
    for title in ("where", "what is wrong", "what to do, or what was done"):
        table.add_column(title, overflow="fold")
    for finding, (_, action) in rows:
        path = finding.path
        place = relative_to_cwd(path) if isinstance(path, Path) else path
        table.add_row(*map(escape, (place, finding.problem, action)))
    return table


if __name__ == "__main__":
    sys.exit(signals.run_command(main))
