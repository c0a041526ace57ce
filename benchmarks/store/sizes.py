"""Bytes on the disk: of journals and their folders, of PostgreSQL's tables, of files in a store."""

from contextlib import closing
from pathlib import Path
from typing import Any

from harness.core.file_names import JOURNAL

TABLES = """
    SELECT relname, pg_total_relation_size(oid) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    ORDER BY 2 DESC
"""


def of_folder(folder: Path) -> int:
    """Return the bytes that the files below a folder take, in blocks of the disk."""
    return sum(512 * path.lstat().st_blocks for path in folder.rglob("*") if path.is_file())


def of_run(directory: Path) -> dict[str, int]:
    """Return the bytes of a run's journal and of all of its files."""
    journal = (directory / JOURNAL).stat().st_size
    return {"journal": journal, "folder": of_folder(directory)}


def of_store(folder: Path, is_postgresql: bool) -> dict[str, int]:
    """Return the bytes of a store in a folder: of its tables or its file, and of files of runs."""
    if is_postgresql:
        database = of_tables(folder)
    else:
        database = {path.name: path.stat().st_size for path in folder.glob("mlflow.db*")}
    return database | {"files of runs": of_folder(folder / "artifacts")}


def of_tables(folder: Path) -> dict[str, int]:
    """Return the bytes of PostgreSQL's tables with their indexes, by name, the largest first."""
    with closing(connected(folder)) as connection, connection.cursor() as cursor:
        cursor.execute(TABLES)
        return dict(cursor.fetchall())


def connected(folder: Path) -> Any:
    """Return a connection to the database that `docs/server/start.sh` has started in a folder."""
    import psycopg2

    _, _, _, _, sockets, *_ = (folder / "postgresql" / "postmaster.pid").read_text().splitlines()
    return psycopg2.connect(host=sockets, user="mlflow", dbname="postgres")
