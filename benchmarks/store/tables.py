"""The tables of `store`, for the console and for Markdown."""

from typing import Any

from benchmarks.common.report import Sheet
from benchmarks.store.searching import SEARCHES

Row = dict[str, Any]

SMALL = 1e5  # bytes below which a table is not shown


def sent(rows: list[Row]) -> Sheet:
    """Return how much each store takes in a second, by the number of processes that send."""
    columns = ["store", "processes", "tiny runs\nper second", "their points\nper second"]
    columns.append("points per second\nof long runs")
    sheet = Sheet("sending", columns, words=1)
    for row in rows:
        cells = ["failed", "", ""]
        if not row["error"]:
            rate = row["tiny_runs"] / row["tiny_s"]
            long = row["long_runs"] * row["long_points"] / row["long_s"]
            cells = [f"{rate:.1f}", f"{rate * row['tiny_points']:,.0f}", f"{long:,.0f}"]
        sheet.rows.append([row["store"], str(row["senders"]), *cells])
    return sheet


def searched(rows: list[Row]) -> Sheet:
    """Return the seconds of each search in stores of several sizes."""
    places = [f"{row['store']},\n{row['runs']:,} runs" for row in rows]
    sheet = Sheet("seconds of search_runs", ["search", *places], words=1)
    for name in SEARCHES:
        seconds = [row.get("search_s", {}).get(name) for row in rows]
        sheet.rows.append([name, *("" if s is None else f"{s:.3f}" for s in seconds)])
    return sheet


def sizes(rows: list[Row], of_run: dict[str, int]) -> Sheet:
    """Return the bytes that a run takes on the disk, in each store at its largest."""
    sheet = Sheet("bytes on the disk", ["where", "what", "kB", "bytes per run"], words=2)
    for what, size in of_run.items():
        sheet.rows.append(["results", what, "", f"{size:,}"])
    largest = {row["store"]: row for row in rows if not row["error"]}
    for row in largest.values():
        for what, size in row["bytes"].items():
            if size >= SMALL:
                per_run = f"{size / row['runs']:,.0f}"
                sheet.rows.append([row["store"], what, f"{size / 1e3:,.0f}", per_run])
    return sheet


def notes(sent: list[Row], searched: list[Row], missing: str | None) -> list[str]:
    """Return what the numbers mean, what was left out and what failed."""
    found = [f"server on PostgreSQL: left out, {missing}"] if missing else []
    for row in (row for row in sent[:1] if not row["error"]):
        found.append(
            f"a tiny run has {row['tiny_points']} points and all of a run's files, a long one "
            f"{row['long_points']:,} points; imports are not counted."
        )
    for row in searched:
        if "fill_s" in row:
            found.append(f"{row['store']}: filled to {row['runs']:,} runs in {row['fill_s']:.0f} s")
    failed = [row for row in (*sent, *searched) if row["error"]]
    return [*found, *[f"failed: {row['store']}: {row['error']}" for row in failed]]
