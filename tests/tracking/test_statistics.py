"""A search that sorts many runs by a metric does not look through all metrics for each run.

SQLite does so where it does not know how many rows its tables have. MLflow never tells it.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from harness.sync.__main__ import main
from tests.support import program
from tests.support.program import uses_mlflow

pytestmark = [*uses_mlflow, pytest.mark.slow]

TINY = ("task.samples=40", "trainer.epochs=2", "model.units=4")


def multiply(database: Path, times: int) -> None:
    """Copy the rows of the runs in a database, under ids of their own."""
    with closing(sqlite3.connect(database)) as connection, connection:
        for table in ("runs", "latest_metrics"):
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            copied = [f"{c} || '-' || n" if c == "run_uuid" else c for c in columns]
            connection.execute(
                "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers "
                f"WHERE n < {times}) INSERT INTO {table} ({', '.join(columns)}) "
                f"SELECT {', '.join(copied)} FROM {table}, numbers"
            )


def plan_of_search(folder: Path) -> str:
    """SQLite's plan for the first statement of MLflow's search, sorted by a metric."""
    statements: list[tuple[str, Any]] = []

    def keep(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        statements.append((statement, parameters))

    client = program.mlflow(folder)
    event.listen(Engine, "before_cursor_execute", keep)
    try:
        client.search_runs(["1"], order_by=["metrics.`val/loss` ASC"], max_results=10)
    finally:
        event.remove(Engine, "before_cursor_execute", keep)
    statement, parameters = next(each for each in statements if "ORDER BY" in each[0])
    with closing(sqlite3.connect(folder / "results/mlflow.db")) as connection:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return "\n".join(row[3] for row in rows)


@pytest.mark.parametrize("by_sync", [False, True])
def test_sorting_by_a_metric_looks_no_run_up_in_all_metrics(tmp_path: Path, by_sync: bool) -> None:
    folder = program.with_database(tmp_path / "here")
    assert program.run(folder, *TINY).code == 0
    multiply(folder / "results/mlflow.db", 3000)
    assert "SCAN anon_1" in plan_of_search(folder), "it has known one run"
    if by_sync:
        assert program.run(folder, *TINY, "tracking=journal").code == 0
        uri = f"sqlite:///{folder}/results/mlflow.db"
        assert main(["--results", str(folder / "results"), "--uri", uri]) == 0
    else:
        assert program.run(folder, *TINY).code == 0
    assert "SCAN anon_1" not in plan_of_search(folder)
