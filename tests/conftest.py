"""What all tests share: the `backend` fixture, patience, and a bound on what has been compiled.

No framework is imported here: a test that runs on the NumPy reference alone must not load one.
"""

import itertools
import os
import signal

import pytest
from hypothesis import HealthCheck, settings

from backends import Backend
from harness.system.compiled_programs import free_if_many
from harness.tracking import system_metrics
from tests.support.backend_classes import BACKENDS, backend_class
from tests.support.program import PATIENCE

# No example is too slow: the machine may be busy.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# What the one who runs the tests tells MLflow is not for the programs that are tested.
for variable in ("TRACKING_URI", "EXPERIMENT_NAME", "EXPERIMENT_ID", "RUN_ID"):
    os.environ.pop(f"MLFLOW_{variable}", None)

# A busy machine may take any time until all is in MLflow.
os.environ["HARNESS_WAIT_SECONDS"] = str(PATIENCE)

# Under `nohup` the programs that are tested would ignore it, too, and not stop.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# A run here has no samples of the load, however long the machine takes.
system_metrics.SECONDS = PATIENCE

turn = itertools.count()


def pytest_runtest_teardown() -> None:
    """A worker runs more than a thousand tests, most of which compile something."""
    if next(turn) % 20 == 19:
        free_if_many()


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> type[Backend]:
    """Each backend's class in turn."""
    return backend_class(request.param)


@pytest.fixture(params=[name for name in BACKENDS if name != "numpy"])
def framework_backend(request: pytest.FixtureRequest) -> type[Backend]:
    """Each backend's class but the reference's."""
    return backend_class(request.param)
