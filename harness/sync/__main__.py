"""`harness sync`: send to MLflow whatever it lacks of recorded runs.

Journals are the truth, MLflow is written from them. So this command completes runs whose program
was killed or whose store did not answer, makes a deleted database anew, and copies runs to another
store. It may be repeated, and several may run at once: what is sent twice is there once.
"""

import os
import sys
from pathlib import Path

from harness.config.tracking_store import absolute, check_uri, without_secrets
from harness.console import streams
from harness.console.command_line import counted, shell_word
from harness.console.progress import Count
from harness.core.errors import ConfigError
from harness.sync.arguments import parser
from harness.sync.send import Summary, send
from harness.system import signals
from harness.tracking.journals import described, in_order, journals

SHOWN = 10  # problems that are printed


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 1 if MLflow still lacks something."""
    streams.prepare()
    try:
        options = parser().parse_args(arguments)
        uri = options.uri
        if uri is not None:
            check_uri("--uri", uri)
            uri = without_secrets(absolute(uri))
        directories = in_order(journals(options.words, options.results))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    # A client that tries again by itself may create a run twice; the command can be repeated.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with Count(len(directories), "runs") as progress:
        summary = send(directories, uri, progress.update)
    show(summary)
    return 1 if summary.problems else 0


def show(summary: Summary) -> None:
    """Print what was sent, what was there already, and what could not be sent."""
    kinds = ("runs", "sweeps", "numbers", "files")
    written = [counted(summary.written[kind], kind) for kind in kinds if summary.written[kind]]
    stores = f" to {', '.join(sorted(summary.stores))}" if summary.stores else ""
    nothing = "nothing" if summary.problems else "nothing: MLflow has all of it"
    print(f"  sent      {', '.join(written) or nothing}{stores}")
    if summary.complete:
        print(f"  complete  {described(summary.complete)} before")
    if summary.dead:
        print(f"  ended     {described(summary.dead)}: the process was gone")
    if summary.running:
        print(f"  running   {described(summary.running)}: MLflow has it so far")
    if summary.nowhere:
        print(
            f"  skipped   {described(summary.nowhere)} with tracking=journal; "
            "--uri STORE sends them, too"
        )
    _show_problems(summary.problems)


def _show_problems(problems: dict[Path, str]) -> None:
    for directory, problem in list(problems.items())[:SHOWN]:
        print(f"{shell_word(str(directory))}: not all is in MLflow ({problem})", file=sys.stderr)
    if len(problems) > SHOWN:
        print(f"and {len(problems) - SHOWN} more; try again later", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(signals.run_command(main))
