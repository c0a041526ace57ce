"""A few changed files, given to all that read them; `python -m tests.faults` tries thousands."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.file_names import SENT
from harness.tracking import sent
from tests.faults import mutations
from tests.faults.mutations import try_mutations
from tests.support.program import PATIENCE
from tests.support.resumed_runs import SMALL, run


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = run(tmp_path_factory.mktemp("mutations") / "run", *SMALL).directory
    sent.save(directory, "sqlite:///../mlflow.db", sent.Sent(run_id="a", numbers=9, complete=True))
    assert (directory / SENT).exists()
    return directory


def test_changed_files_are_refused_in_a_line_or_accepted(recorded: Path) -> None:
    outcome = try_mutations(recorded, 60, random.Random(0))
    assert outcome.failures == []
    assert outcome.counts["refused"] > 20
    assert outcome.counts["accepted"] > 20, "a change may be to a file that a reader does not need"


def careless(folder: Path) -> None:
    raise KeyError(str(folder))


def greedy(_: Path) -> None:
    bytearray(3 * 2**30)


def slow(_: Path) -> None:
    time.sleep(PATIENCE)


@pytest.mark.parametrize(
    ("reader", "failure"), [(careless, "KeyError"), (greedy, "MemoryError"), (slow, "Hangs")]
)
def test_a_reader_that_fails_is_found(
    recorded: Path,
    monkeypatch: pytest.MonkeyPatch,
    reader: Callable[[Path], None],
    failure: str,
) -> None:
    monkeypatch.setattr(mutations, "READERS", (reader,))
    monkeypatch.setattr(mutations, "SECONDS", 1)
    outcome = try_mutations(recorded, 2, random.Random(0))
    assert outcome.counts == {"failed": 2}
    assert failure in outcome.failures[0]
