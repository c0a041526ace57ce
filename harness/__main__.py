"""The command line `harness …`: one run, a sweep, or the command that the first word names.

Little is imported here: help is printed at once, and a command imports what it needs. Exit codes
are 0 success; 1 it failed; 2 the command is invalid; 128 + n stopped by signal n, such as 130 by
Ctrl-C.
"""

import atexit
import gc
import importlib
import os
import sys
from contextlib import suppress

from harness.console import streams
from harness.console.commands import command_module
from harness.core.errors import ConfigError
from harness.train.arguments import HELP, asks_for_completion, asks_for_help, help_text


def main() -> int:
    """Run the command in `sys.argv` and return its exit code; without arguments print the help."""
    streams.prepare()
    _find_own_modules()
    # Python would search all that the frameworks have made for garbage before it ends: a second.
    atexit.register(gc.freeze)
    words = sys.argv[1:]
    if asks_for_completion(words):
        return importlib.import_module("harness.config.completion").complete()
    try:
        module = command_module(words)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    if module is None:
        if asks_for_help(words):
            print(help_text(words), end="")
            return 0
        return importlib.import_module("harness.train.command").main()
    if words[1:2] and words[1] in HELP:  # without what the command itself imports
        importlib.import_module(
            f"{module.removesuffix('.__main__')}.arguments"
        ).parser().print_help()
        return 0
    del sys.argv[1]
    from harness.system import signals

    return signals.run_command(importlib.import_module(module).main)


def _find_own_modules() -> None:
    """Let `task._target_` name a module in the current directory.

    `python -m harness` has it on its path from the start, the console script has not. At the end of
    the path it shadows nothing.
    """
    with suppress(OSError):  # a directory that is gone
        if not sys.flags.safe_path and os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())


if __name__ == "__main__":
    sys.exit(main())
