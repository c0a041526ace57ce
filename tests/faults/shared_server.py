"""A server on PostgreSQL to which four sweeps send at once, killed with its database half-way.

It is started as docs/scale.md says, by `docs/server/start.sh`. The sweeps' own readers have to send
everything: there is no `harness sync` afterwards.
"""

import time

from benchmarks.common import tracking_server
from benchmarks.common.tracking_server import free_port, on_postgresql, open_folder
from tests.faults.fault import Fault
from tests.faults.trial import LIMIT, Trial, epochs

PROGRAMS = 4


def four_sweeps(trial: Trial) -> None:
    trial.seeds, down = (10, 5.0) if trial.short else (50, 30.0)
    with open_folder() as folder:
        port = free_port()
        command, uri = on_postgresql(folder, port), f"http://127.0.0.1:{port}"
        with tracking_server.running(command, port, folder) as process:
            words = ("-m", epochs(20), f"seed=range({trial.seeds})", f"tracking.uri={uri}")
            words += (f"tracking.experiment={trial.experiment}",)
            programs = [trial.train(*words, wait=LIMIT) for _ in range(PROGRAMS)]
            trial.wait_until(lambda: begun(trial) > PROGRAMS * trial.seeds / 2)
            tracking_server.kill(process)
            time.sleep(down)
        with tracking_server.running(command, port, folder):
            for program in programs:
                trial.finish(program, 0)
            trial.expect(PROGRAMS * (trial.seeds + 1))
            trial.compare(uri)
            trial.check_processes(LIMIT)


def begun(trial: Trial) -> int:
    """Return of how many runs a store has something."""
    return sum(1 for _ in (trial.folder / trial.results).rglob("mlflow.json"))


FAULTS = [
    Fault(
        name="postgresql-killed",
        what="`mlflow server` and its PostgreSQL killed for 30 s, 4 sweeps that send 200 runs",
        once=four_sweeps,
        tries=1,
        is_fresh=True,
        settles=True,
        is_short=True,
        needs=tracking_server.postgresql_missing,
    ),
]
