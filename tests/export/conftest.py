"""The runs that the tests of `harness.export` share."""

import pytest

from harness.runs.run import Result
from tests.support.exported_runs import RUNS, trained


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    return {name: trained(tmp_path_factory.mktemp(name), *RUNS[name].split()) for name in RUNS}
