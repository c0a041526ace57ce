"""`harness repeat`: make a recorded training an experiment, and run it in every backend.

Exit code 0: all losses are the recorded ones, but for rounding; 1: some are not, or no rules fit;
2: the command cannot be run as it stands.
"""

import sys
from collections.abc import Sequence

from harness.console import streams
from harness.console.terminal import console
from harness.core.errors import ConfigError
from harness.identify.arguments import check_search
from harness.readers.foreign_network import Stated
from harness.repeat.arguments import parser
from harness.repeat.repeat import Request, repeat
from harness.system import signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    streams.prepare()
    try:
        options = parser().parse_intermixed_args(arguments)
        check_search(options)
        request = Request(
            recording=options.recording,
            out=options.out,
            name=options.name,
            steps=options.steps,
            seconds=options.seconds,
            lr=options.lr,
            stated=Stated(only=options.only, head=options.head),
            nearest=options.nearest,
            overrides=tuple(options.overrides),
        )
        return repeat(request, console())
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(signals.run_command(main))
