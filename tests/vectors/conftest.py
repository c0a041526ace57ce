"""The reference vectors, written once for all that read them."""

from pathlib import Path

import pytest

from harness.vectors.__main__ import main


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all cases."""
    out = tmp_path_factory.mktemp("vectors") / "new" / "folder"
    assert main([str(out)]) == 0
    return out
