"""Several programs at once: on a fresh folder, two sweeps in one folder, two `harness sync`."""

import time

from tests.faults.fault import Fault
from tests.faults.trial import EPOCHS, Trial, epochs


def six_programs(trial: Trial) -> None:
    programs = [trial.train(epochs(EPOCHS), f"seed={seed}") for seed in range(6)]
    for program in programs:
        trial.finish(program, 0)
    trial.expect(6)


def two_sweeps(trial: Trial) -> None:
    """One of two sweeps that name the same folder is refused; the other is as ever."""
    words = ("-m", epochs(EPOCHS), "seed=0,1", "hydra.sweep.dir=results/multirun/same")
    programs = [trial.train(*words) for _ in range(2)]
    for program in programs:
        trial.finish(program, 0, 2)
    codes = sorted(program.process.returncode for program in programs)
    if codes != [0, 2]:
        trial.problems.append(f"two sweeps in one folder end with {codes}")
    trial.expect(3)


def two_syncs(trial: Trial) -> None:
    """Two `harness sync` at once send what killed programs have left."""
    for seed in range(3):
        program = trial.train(epochs(EPOCHS), f"seed={seed}")
        program.wait_until(lambda program=program: program.lines() >= 100)
        for reader in program.readers():
            reader.kill()
        program.process.kill()
        trial.finish(program)
    time.sleep(0.5)
    syncs = [trial.start(module="harness.sync") for _ in range(2)]
    for program in syncs:
        trial.finish(program, 0)
    trial.expect(3)


FAULTS = [
    Fault(
        name="crowd-programs",
        what="6 programs at once on a fresh folder",
        once=six_programs,
        is_fresh=True,
    ),
    Fault(
        name="crowd-sweeps",
        what="two sweeps at once in one folder",
        once=two_sweeps,
        is_fresh=True,
    ),
    Fault(
        name="crowd-syncs",
        what="two `harness sync` at once, of killed runs",
        once=two_syncs,
        is_fresh=True,
    ),
]
