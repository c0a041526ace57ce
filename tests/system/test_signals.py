"""Signals that end a program, in small programs of their own.

Decides that a stop which went unnoticed can be repeated, that an ignored hang-up stays ignored, and
that a system with fewer signals is served, too.
"""

import signal
import subprocess
import sys

from tests.support import ROOT

# Raised inside a destructor, an exception goes nowhere: Python prints it and carries on.
SWALLOWED = """
import os, signal, time
from harness.system import signals

class Noisy:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.001)

signals.install()
noisy = Noisy()
del noisy
print("not stopped", flush=True)
for _ in range(300):
    time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_stop_that_went_unnoticed_can_be_repeated() -> None:
    command = [sys.executable, "-c", SWALLOWED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "not stopped\n", "or else this decides nothing"
    assert done.returncode != 0, "three hundred signals were ignored"
    assert done.stderr.splitlines()[-1] == "harness.system.signals.Killed: SIGTERM"


# Signals 1 and 3: one that was ignored stays so, as nohup wants it; the other ends a command.
ENDING = """
import os, signal, sys
from harness.system import signals

def command():
    os.kill(os.getpid(), signal.SIGHUP)
    print("goes on", flush=True)
    try:
        os.kill(os.getpid(), signal.SIGQUIT)
        sum(range(10**6))
    except BaseException as error:
        raise ImportError("half a module") from error
    return 0

signal.signal(signal.SIGHUP, signal.SIG_IGN)
sys.exit(signals.run_command(command))
"""


def test_an_ignored_hangup_stays_ignored_and_another_signal_ends_a_command() -> None:
    command = [sys.executable, "-c", ENDING]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "goes on\n"
    assert done.returncode == 128 + signal.SIGQUIT
    assert done.stderr == "\nStopped by SIGQUIT\n", "whatever the stop was turned into"


def test_a_system_has_the_signals_that_it_has() -> None:
    """Windows has no SIGHUP and no SIGQUIT."""
    code = "import signal; del signal.SIGHUP, signal.SIGQUIT\n"
    code += "from harness.system import signals; signals.install(); print(len(signals.SIGNALS))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("2\n", "")
