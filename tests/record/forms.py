"""Record many programs by one process that has imported a framework: each in a fork of it.

`python -m tests.record.forms FOLDER PROGRAM FORM …`
"""

import json
import os
import sys
from pathlib import Path

import torch

from harness.record import script


def main() -> None:
    folder, program, *forms = sys.argv[1:]
    torch.set_num_threads(1)  # no threads that a fork would lack
    for form in forms:
        place = Path(folder, form)
        place.mkdir()
        child = os.fork()
        if child == 0:
            os.chdir(place)
            run(program, form)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        (place / "code").write_text(str(code))


def run(program: str, form: str) -> None:
    """Do what `harness.record.process` starts a process for, and end."""
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT, 0o600), number)
    events = os.path.abspath("events.jsonl")
    settings = {"folder": os.path.abspath("recorded"), "wanted": 1, "events": events}
    sys.argv = ["", json.dumps(settings), program, form]
    code = 1
    try:
        code = script.main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
