"""The tables of docs/speed.md: our times against the best that is written by hand."""

from collections.abc import Callable, Iterator

from benchmarks.common.report import Sheet
from benchmarks.steps.table import digits
from benchmarks.tables.measured import PRODUCTS, Measured, Row, time_of

Cell = Callable[[Measured, str], str]  # what a table shows of a recurrent cell


def sheets(files: list[Measured]) -> list[Sheet]:
    """Return all tables for which something was measured."""
    found = [
        _by_backend(files, size, about, replicas)
        for size, about in sizes(files).items()
        for replicas in _replicas(files, size)
    ]
    for title, cell_of in (
        ("NumPy µs; its bare matrix products µs; ratio", _products),
        ("Fastest backend: µs; fastest way by hand of all frameworks µs (which); ratio", _overall),
    ):
        lines = [(about, cell_of(size)) for size, about in sizes(files).items()]
        found.append(_sheet(title, "network, one replica", files, lines))
    return [sheet for sheet in found if any(any(row[1:]) for row in sheet.rows)]


def sizes(files: list[Measured]) -> dict[str, str]:
    """Return the description of each size of network, by its name."""
    return {
        row["size"]: f"{row['units']} units, {row['length']} steps, batch {row['batch']}"
        for row in _rows(files)
    }


def cells(files: list[Measured]) -> list[str]:
    """Return the recurrent cells in the order in which they were measured."""
    return list(dict.fromkeys(row["cell"] for row in _rows(files)))


def _rows(files: list[Measured]) -> Iterator[Row]:
    return (row for file in files for row in file.rows)


def _replicas(files: list[Measured], size: str) -> list[int]:
    return sorted({row["replicas"] for row in _rows(files) if row["size"] == size and row["ours"]})


def _by_backend(files: list[Measured], size: str, about: str, replicas: int) -> Sheet:
    """Return a table with a line for each backend, and for each kernel that was chosen."""
    lines = dict.fromkeys(
        (row["framework"], row["label"])
        for row in _rows(files)
        if row["size"] == size and row["ours"]
    )
    several = "one replica" if replicas == 1 else f"{replicas} replicas, per replica"
    named = [
        (f"`{framework}`{label.removeprefix('harness')}", _ours(size, framework, label, replicas))
        for framework, label in lines
    ]
    title = f"{about}: {several}: ours µs; best by hand µs (which); ratio"
    return _sheet(title, "backend", files, named)


def _sheet(title: str, first: str, files: list[Measured], lines: list[tuple[str, Cell]]) -> Sheet:
    """Return a table with a column for each cell.

    Where several files have a number, that of the last counts.
    """
    columns = cells(files)
    sheet = Sheet(title, [first, *columns], words=1)
    for name, text in lines:
        texts = [[text(file, column) for file in files] for column in columns]
        sheet.rows.append([name, *(next(filter(None, reversed(t)), "") for t in texts)])
    return sheet


def _ours(size: str, framework: str, label: str, replicas: int) -> Cell:
    """Return our time, the best by hand of the same framework for one replica, and their ratio."""

    def cell(file: Measured, cell: str) -> str:
        network = (framework, size, cell)
        ours = file.fastest(
            lambda r: _of(r) == network and r["label"] == label and r["replicas"] == replicas
        )
        hand = file.fastest(lambda r: _of(r) == network and _by_hand(r))
        return _against(ours, hand)

    return cell


def _overall(size: str) -> Cell:
    """Return the fastest of our backends, of any framework by hand, and their ratio."""

    def cell(file: Measured, cell: str) -> str:
        def fits(row: Row) -> bool:
            return _of(row)[1:] == (size, cell) and row["replicas"] == 1

        ours = file.fastest(lambda r: fits(r) and r["ours"])
        text = _against(ours, file.fastest(lambda r: fits(r) and _by_hand(r)))
        return f"{ours['framework']}: {text}" if ours else ""

    return cell


def _products(size: str) -> Cell:
    """Return NumPy's time, that of the bare products of a step, and their ratio."""

    def cell(file: Measured, cell: str) -> str:
        network = ("numpy", size, cell)
        ours = file.fastest(lambda r: _of(r) == network and r["ours"] and r["replicas"] == 1)
        bare = file.fastest(lambda r: _of(r) == network and r["label"] == PRODUCTS)
        if ours is None or bare is None:
            return ""
        ratio = time_of(ours) / time_of(bare)
        return f"{digits(time_of(ours))}; {digits(time_of(bare))}; {digits(ratio)}"

    return cell


def _of(row: Row) -> tuple[str, str, str]:
    return row["framework"], row["size"], row["cell"]


def _by_hand(row: Row) -> bool:
    return not row["ours"] and row["label"] != PRODUCTS


def _against(ours: Row | None, hand: Row | None) -> str:
    if ours is None:
        return ""
    if hand is None:
        return digits(time_of(ours))
    ratio = digits(time_of(hand) / time_of(ours))
    return f"{digits(time_of(ours))}; {digits(time_of(hand))} ({hand['label']}); {ratio}"
