"""The name of a run says what was typed for it, and not where it is tracked."""

from harness.runs.names import single_name
from tests.support.configs import config


def test_the_name_has_task_backend_cell_and_seeds():
    words = ["task=sum", "backend=torch", "replicas=3", "seed=2"]
    assert single_name(config(*words), words) == "sum·torch·rnn·s2-4"


def test_the_name_has_dotted_settings_but_not_those_of_tracking():
    words = ["backend=numpy", "tracking.model=true", "optimizer.lr=0.1", "tracking.uri=null"]
    assert single_name(config(*words), words) == "sum·numpy·rnn·s0·lr=0.1"
