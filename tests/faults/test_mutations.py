"""A few changed files, given to all that read them; `python -m tests.faults` tries thousands."""

from pathlib import Path

import pytest

from harness.core.file_names import SENT
from harness.tracking import sent
from tests.faults import mutations
from tests.faults.mutations import try_mutations
from tests.support.resumed_runs import SMALL, run


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = run(tmp_path_factory.mktemp("mutations") / "run", *SMALL).directory
    sent.save(directory, "sqlite:///../mlflow.db", sent.Sent(run_id="a", numbers=9, complete=True))
    assert (directory / SENT).exists()
    return directory


def test_changed_files_are_refused_in_a_line_or_accepted(recorded: Path) -> None:
    outcome = try_mutations(recorded, 60)
    assert outcome.failures == []
    assert outcome.counts["refused"] > 20
    assert outcome.counts["accepted"] > 20, "a change may be to a file that a reader does not need"


def test_a_reader_that_fails_is_found(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(folder: Path) -> None:
        raise KeyError(str(folder))

    monkeypatch.setattr(mutations, "READERS", (careless,))
    outcome = try_mutations(recorded, 2)
    assert outcome.counts == {"failed": 2}
    assert "KeyError" in outcome.failures[0]
