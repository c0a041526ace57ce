"""A folder is made before the work, and taken back only if the work has left nothing in it."""

from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.folders import made


def test_folder_of_refused_work_is_taken_back(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no"), made(tmp_path / "results/parity/1"):
        raise ConfigError("no")
    assert not (tmp_path / "results").exists()


def test_what_failed_work_has_left_stays(tmp_path: Path) -> None:
    folder = tmp_path / "results/parity/1"
    with pytest.raises(RuntimeError), made(folder):
        (folder / "traceback.txt").write_text("")
        raise RuntimeError
    assert (folder / "traceback.txt").exists()


def test_folder_that_cannot_be_made_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    begun = []
    with (
        pytest.raises(ConfigError, match="results: cannot write there"),
        made(tmp_path / "file/parity/1"),
    ):
        begun.append(1)
    assert not begun
