"""Run a script as Python runs it, with its trainings watched; this is a process of its own.

`python -m harness.record.script SETTINGS SCRIPT [ARGUMENT ...]`
"""

import builtins
import io
import os
import signal
import sys
import types
from importlib.machinery import SourceFileLoader
from typing import Any

from harness.core.errors import ConfigError
from harness.record.events import tell
from harness.record.trainings import watch


def main() -> int:
    """Run the script and return its exit code; the recording is finished however it ends."""
    _, settings, *sys.argv = sys.argv
    trainings = watch(settings)
    _end_gracefully()
    try:
        return run(sys.argv[0])
    except ConfigError as error:
        tell(trainings.events, refused=str(error))
        return 2
    finally:
        trainings.finish()


def run(script: str) -> int:
    """Run a file as `__main__`, and return 0 or the exit code for its exception.

    `SystemExit` is passed on, and `ConfigError` of what cannot be recorded. A traceback begins in
    the script, not here.
    """
    sys.path[0] = os.path.dirname(os.path.realpath(script))
    module = types.ModuleType("__main__")
    path = os.path.abspath(script)
    vars(module).update(
        __file__=path,
        __builtins__=builtins,
        __loader__=SourceFileLoader("__main__", path),
        __cached__=None,
    )
    sys.modules["__main__"] = module
    try:
        with io.open_code(path) as file:
            code = compile(file.read(), path, "exec", dont_inherit=True)
        exec(code, vars(module))
    except ConfigError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
        sys.excepthook(type(error), error, error.__traceback__)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _end_gracefully() -> None:
    """Let SIGTERM and SIGHUP end the program as `sys.exit` does, so that its recording is written.

    A process that the program forks is ended at once, as it would be otherwise.
    """
    own = os.getpid()

    def end(number: int, _frame: Any) -> None:
        if os.getpid() != own:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        sys.exit(128 + number)

    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, end)


if __name__ == "__main__":
    sys.exit(main())
