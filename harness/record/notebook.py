"""Run the cells of a notebook in its own kernel, with its trainings watched; it is not changed.

`python -m harness.record.notebook SETTINGS NOTEBOOK` is a process of its own, whose output is that
of the cells.
"""

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import NoSuchKernel, get_kernel_spec
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from harness.core.errors import ConfigError, first_line
from harness.record.events import tell

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
    try:
        return asyncio.run(_run(settings, Path(path)))
    except ConfigError as error:
        tell(json.loads(settings)["events"], refused=str(error))
        return 2


async def _run(settings: str, path: Path) -> int:
    notebook = _read(path)
    calls = (f"{CALL}.begin({settings!r})", f"{CALL}.end()")
    added = [nbformat.v4.new_code_cell(call) for call in calls]
    cells = notebook.cells = [added[0], *notebook.cells, added[1]]  # in memory alone
    folder = {"metadata": {"path": str(path.resolve().parent)}}
    client: Any = _Client(notebook, kernel_name=_kernel(notebook, path), resources=folder)
    # What the kernel's process prints comes in messages, and on its own streams once more.
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    async with client.async_setup_kernel(**streams):
        _pass_stops_on(client)
        try:
            await client.async_execute_cell(cells[0], 0, store_history=False)
        except CellExecutionError as error:
            raise ConfigError(
                f"its kernel {client.kernel_name} cannot import the harness "
                f"({error.ename}: {error.evalue}); install rnn-harness in the kernel's environment."
            ) from error
        failed = await _run_cells(client, path)
        await client.async_execute_cell(cells[-1], len(cells) - 1, store_history=False)
    return int(failed)


def _pass_stops_on(client: Any) -> None:
    """Let Ctrl-C and SIGTERM interrupt the cell: the kernel is not in the terminal's group."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: loop.create_task(client.km.interrupt_kernel()))


async def _run_cells(client: Any, path: Path) -> bool:
    """Run the notebook's own cells one after another; return whether one failed, the last then."""
    own = client.nb.cells[1:-1]
    for number, cell in enumerate(own, 1):
        if cell.cell_type != "code":
            continue
        place = f"cell {number} of {len(own)}"
        print(f"recorder: {path.name}, {place}", file=sys.stderr, flush=True)
        try:
            await client.async_execute_cell(cell, number)
        except CellExecutionError as error:
            if error.ename == ConfigError.__name__:
                raise ConfigError(error.evalue) from error
            reason = ": ".join(filter(None, (error.ename, error.evalue))).splitlines()[0]
            print(f"{path}: {place} failed ({reason}).", file=sys.stderr)
            return True
        except DeadKernelError as error:
            raise ConfigError(f"its kernel died in {place}.") from error
    return False


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


def _kernel(notebook: Any, path: Path) -> str:
    """Return the name of the notebook's kernel, or of Python's here if it is not installed."""
    name = notebook.metadata.get("kernelspec", {}).get("name", "python3")
    try:
        get_kernel_spec(name)
    except NoSuchKernel:
        print(
            f"recorder: {path.name}: kernel {name} is not installed here; python3 runs its cells",
            file=sys.stderr,
        )
        return "python3"
    return name


if __name__ == "__main__":
    sys.exit(main())
