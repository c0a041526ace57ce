"""A tracking server that is down, hangs, answers 500, or drops connections after it has committed.

A real `mlflow server` with one worker stands behind a proxy, which plays the failures. All trials
share the server; each has an experiment of its own in it, and a proxy.
"""

import atexit
import signal
import tempfile
import time
from functools import cache, partial
from pathlib import Path

from benchmarks.common import tracking_server
from benchmarks.common.tracking_server import free_port, on_store
from tests.faults.compare import read
from tests.faults.fault import Fault
from tests.faults.proxy import Proxy
from tests.faults.trial import EPOCHS, LIMIT, WAIT, Program, Trial, Words, epochs

MARGIN = 30.0  # seconds that a busy machine may add to the wait of a program

RUN: Words = (epochs(EPOCHS),)
SWEEP: Words = ("-m", epochs(EPOCHS), "seed=0,1,2")
BASIC: Words = (*SWEEP, "hydra/launcher=basic")


@cache
def server() -> int:
    """Start a tracking server, which ends with this process, and return its port."""
    folder, port = Path(tempfile.mkdtemp(prefix="mlflow-server-")), free_port()
    artifacts = ("--artifacts-destination", f"{folder}/artifacts")
    process = tracking_server.start(
        on_store(f"sqlite:///{folder}/server.db", port, *artifacts), folder
    )
    atexit.register(tracking_server.kill, process)
    tracking_server.wait_for(process, port, folder)
    return port


def wait_for(program: Program, when: str) -> None:
    """Wait for the start, the middle or the end of a program's first run."""
    if when == "middle":
        program.wait_until(lambda: program.lines() >= EPOCHS // 2)
    elif when == "end":
        program.wait_until(lambda: program.lines() >= EPOCHS)


def fail(
    mode: str, when: str, seconds: float | None, words: Words, path: str, trial: Trial
) -> None:
    """Train while the server fails, from a moment on: for some seconds, or until `sync`."""
    proxy = Proxy(server())
    proxy.concerns = lambda requested: path in requested
    words = (*words, f"tracking.uri={proxy.uri}", f"tracking.experiment={trial.experiment}")
    if when == "start":
        proxy.mode = mode
    program = trial.train(*words)
    wait_for(program, when)
    proxy.mode = mode
    if when == "start" and mode != "refuse":
        trial.wait_until(lambda: proxy.failures)
    if seconds is not None:
        time.sleep(min(seconds, 5.0) if trial.short else seconds)
        proxy.mode = "pass"
    trial.finish(program, 0)
    check_wait(trial, program, WAIT)
    if seconds is None and mode in ("refuse", "hang", "500"):
        trial.sync(codes=(0, 1))  # 0: all was there before
    proxy.mode = "pass"
    trial.expect(4 if "-m" in words else 1)
    trial.settle(f"http://127.0.0.1:{server()}")
    proxy.close()


def check_wait(trial: Trial, program: Program, wait: float) -> None:
    """Check that the program waited for the store no longer than `tracking.wait_seconds`."""
    ends = [end["time"] for path in program.own() if (end := read(path).end)]
    waited = time.time() - max(ends, default=0) / 1000
    if ends and waited > wait + MARGIN:
        trial.say(program, f"ended {waited:.0f} s after its last run")


def stop_waiting(trial: Trial) -> None:
    """Press Ctrl-C while a program waits for a server that hangs."""
    proxy = Proxy(server())
    proxy.mode = "hang"
    place = (f"tracking.uri={proxy.uri}", f"tracking.experiment={trial.experiment}")
    program = trial.train(*RUN, *place, wait=LIMIT)
    program.wait_until(lambda: any(read(path).end for path in program.own()))
    time.sleep(1.0)
    program.process.send_signal(signal.SIGINT)
    trial.finish(program, 0, 130, limit=LIMIT / 2)
    check_wait(trial, program, 1.0)
    proxy.mode = "pass"
    trial.settle(f"http://127.0.0.1:{server()}")
    proxy.close()


def _fault(name: str, what: str, mode: str, when: str, seconds: float | None, **more: str) -> Fault:
    words = {"run": RUN, "batched": SWEEP, "basic": BASIC}[more.get("kind", "run")]
    return Fault(
        name=f"server-{name}",
        what=what,
        once=partial(fail, mode, when, seconds, words, more.get("path", "")),
        is_fresh=True,
        settles=True,
        is_short=name == "drop-create",
    )


SAID = {"refuse": "server stopped", "hang": "server hangs", "500": "server answers 500"}
MOMENTS = {"start": "from the start", "middle": "in the middle", "end": "at the end"}

FAULTS = [
    _fault(f"{mode}-{when}", f"{SAID[mode]} for 30 s, {words}", mode, when, 30.0)
    for mode in SAID
    for when, words in MOMENTS.items()
]
FAULTS += [
    _fault(f"{mode}-good-{kind}", f"{SAID[mode]} for good, {words}", mode, "start", None, kind=kind)
    for mode in SAID
    for kind, words in {"run": "a run", "basic": "a sweep, hydra/launcher=basic"}.items()
]
FAULTS += [
    _fault(
        "drop-create",
        "connection dropped after create_run, for 10 s",
        "drop",
        "start",
        10.0,
        path="runs/create",
    ),
    _fault(
        "drop-create-batched",
        "connection dropped after create_run, for 10 s, a batched sweep",
        "drop",
        "start",
        10.0,
        path="runs/create",
        kind="batched",
    ),
    _fault("drop-all", "connection dropped after each request, for 10 s", "drop", "start", 10.0),
    _fault(
        "drop-third", "connection dropped after each third request", "drop third", "start", None
    ),
    Fault(
        name="server-ctrl-c",
        what="Ctrl-C while the program waits for a server that hangs",
        once=stop_waiting,
        is_fresh=True,
        settles=True,
    ),
]
