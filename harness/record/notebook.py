"""Run the cells of a notebook in its own kernel, with its trainings watched; it is not changed.

`python -m harness.record.notebook SETTINGS NOTEBOOK` is a process of its own, whose output is that
of the cells.
"""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from harness.core.errors import ConfigError, first_line
from harness.record.events import tell

SECONDS_TO_END = 60.0  # of a kernel that is asked to shut down, before it is killed
CALL = "__import__('harness.record.kernel', fromlist=['kernel'])"  # leaves no name in the notebook


class _Client(NotebookClient):
    """A client that passes on what the cells print, as they print it."""

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        """Print the text of a message to a stream."""
        if msg["msg_type"] == "stream":
            stream = sys.stderr if msg["content"]["name"] == "stderr" else sys.stdout
            print(msg["content"]["text"], end="", file=stream, flush=True)
        return super().process_message(msg, cell, cell_index)


def main() -> int:
    """Run the notebook in `sys.argv` and return 0, 1 if a cell failed, 2 if it cannot be run."""
    _, settings, path = sys.argv
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(settings, Path(path))
    except ConfigError as error:
        tell(json.loads(settings)["events"], refused=str(error))
        return 2
    except KeyboardInterrupt:
        return 130


def _run(settings: str, path: Path) -> int:
    notebook = _read(path)
    calls = (f"{CALL}.begin({settings!r})", f"{CALL}.end()")
    added = [nbformat.v4.new_code_cell(call) for call in calls]
    cells = notebook.cells = [added[0], *notebook.cells, added[1]]  # in memory alone
    client = _client(notebook, path)
    # What the kernel's process prints comes in messages, and on its own streams once more.
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with client.setup_kernel(cleanup_kc=True, **streams):
        try:
            client.execute_cell(cells[0], 0, store_history=False)
        except CellExecutionError as error:
            raise ConfigError(
                f"its kernel {client.km.kernel_name} cannot import the harness "
                f"({error.ename}: {error.evalue}); install rnn-harness in the kernel's environment."
            ) from error
        done = all(_run_cell(client, path, number) for number in range(1, len(cells) - 1))
        client.execute_cell(cells[-1], len(cells) - 1, store_history=False)
    return 0 if done else 1


def _run_cell(client: Any, path: Path, number: int) -> bool:
    """Run a cell, by its number in the notebook from 1; return whether it succeeded."""
    cell = client.nb.cells[number]
    place = f"cell {number} of {len(client.nb.cells) - 2}"
    if cell.cell_type != "code":
        return True
    print(f"recorder: {path.name}, {place}", file=sys.stderr, flush=True)
    try:
        client.execute_cell(cell, number)
    except CellExecutionError as error:
        if error.ename == ConfigError.__name__:
            raise ConfigError(error.evalue) from error
        reason = f"{error.ename}: {error.evalue}".splitlines()[0]
        print(f"{path}: {place} failed ({reason}).", file=sys.stderr)
        return False
    except DeadKernelError as error:
        raise ConfigError(f"its kernel died in {place}.") from error
    return True


def _read(path: Path) -> Any:
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except Exception as error:  # nbformat has many, of no common kind
        raise ConfigError(
            f"cannot be read as a notebook ({first_line(error)}); save it again in Jupyter."
        ) from error
    language = notebook.metadata.get("kernelspec", {}).get("language", "python")
    if language != "python":
        raise ConfigError(f"is in {language}; only notebooks in Python can be recorded.")
    return notebook


def _client(notebook: Any, path: Path) -> Any:
    """Return a client of a kernel of the notebook's own kind, or of Python here if it has not."""
    name = notebook.metadata.get("kernelspec", {}).get("name", "python3")
    manager = KernelManager(kernel_name=name)
    try:
        manager.kernel_spec  # noqa: B018 - raises
    except NoSuchKernel:
        print(
            f"recorder: {path.name}: kernel {name} is not installed here; python3 runs its cells",
            file=sys.stderr,
        )
        manager = KernelManager(kernel_name="python3")
    manager.shutdown_wait_time = SECONDS_TO_END
    folder = {"metadata": {"path": str(path.resolve().parent)}}
    return _Client(notebook, km=manager, resources=folder, timeout=None)


if __name__ == "__main__":
    sys.exit(main())
