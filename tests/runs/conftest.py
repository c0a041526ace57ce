"""The uninterrupted runs that the tests of `resume=` share."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.resumed_runs import CASES, SMALL, run


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The directory of a case's run in a backend: six epochs, with a checkpoint at the third."""

    @cache
    def directory(case: str, backend: str) -> Path:
        folder = tmp_path_factory.mktemp(f"{case}-{backend}")
        run(folder, *SMALL, *CASES[case], f"backend={backend}")
        return folder

    return directory
