"""No encoding, no closed stream and no reader that goes away makes a command fail.

Decides on small programs in processes of their own, by the bytes that arrive, and for the commands
on whether each begins by making its streams safe. The real program is in
`tests/runs/test_surroundings.py`.
"""

import io
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table

from harness.console.terminal import console
from tests.support import ROOT

pytestmark = pytest.mark.slow

COMMANDS = ("harness", "harness.compare", "harness.parity", "harness.why", "harness.export")
COMMANDS += ("harness.vectors", "benchmarks")
BEGIN = "import os, sys\nfrom harness.console import streams\nstreams.prepare()\n"


def program(lines: str, closed: str = "", **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Python's `lines` after the streams were prepared; `options` are those of a subprocess.

    A shell begins it, with `closed` streams if need be: no function of ours runs in a fork."""
    variables = os.environ | {"PYTHONPATH": str(ROOT)} | options.pop("env", {})
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", BEGIN + lines]
    return subprocess.run(command, env=variables, **options)


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii", rb"sum - torch, 3 us ... \u674e"),
        ("latin-1", b"sum \xb7 torch, 3 \xb5s ... " + rb"\u674e"),
        ("cp1252", b"sum \xb7 torch, 3 \xb5s \x85 " + rb"\u674e"),
        ("utf-8", "sum · torch, 3 µs … 李".encode()),
    ],
)
def test_what_an_encoding_lacks_has_a_look_alike_or_is_escaped(
    encoding: str, expected: bytes
) -> None:
    lines = "for stream in (sys.stdout, sys.stderr): print('sum · torch, 3 µs … 李', file=stream)"
    done = program(lines, env={"PYTHONIOENCODING": encoding}, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (expected + b"\n", expected + b"\n")


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_the_name_of_a_file_is_written_as_it_is_on_the_disk(encoding: str) -> None:
    """Also one that no text can be."""
    lines = r"print(os.fsencode('ü').decode('ascii', 'surrogateescape') + '\udcfc')"
    done = program(lines, env={"PYTHONIOENCODING": encoding}, capture_output=True, check=True)
    assert done.stdout == "ü".encode() + b"\xfc\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_from_the_start_leads_nowhere(closed: str, tmp_path: Path) -> None:
    lines = f"""
sys.stdin.read(), print("out"), print("error", file=sys.stderr), sys.stdout.flush()
opened = open({str(tmp_path / "file")!r}, "w")
os.write(1, b"out"), os.write(2, b"error"), os.system("echo child >&2")
opened.write(str(opened.fileno() > 2))
"""
    sink = subprocess.DEVNULL
    program(lines, closed, stdin=sink, stdout=sink, stderr=sink, check=True)
    assert (tmp_path / "file").read_text() == "True"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_nobody_reads_any_more_is_dropped(unbuffered: str) -> None:
    lines = "for _ in range(1000): print('a line ' * 20)"
    reading, writing = os.pipe()
    os.close(reading)
    env = {"PYTHONUNBUFFERED": unbuffered}
    done = program(lines, env=env, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device without room")
def test_a_full_disk_is_said_once() -> None:
    lines = "for _ in range(1000): print('a line ' * 20)"
    with open("/dev/full", "wb") as full:
        done = program(lines, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 0
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"standard output: cannot be written")


class Begun(BaseException):
    """Raised in place of what makes streams safe."""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_begins_by_making_its_streams_safe(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begun() -> None:
        raise Begun

    monkeypatch.setattr("harness.console.streams.prepare", begun)
    monkeypatch.setattr(sys, "argv", [command, "--nosuchflag"])
    with pytest.raises(Begun):
        import_module(f"{command}.__main__").main()


def test_a_narrow_terminal_cuts_no_number_short(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for name, value in {"COLUMNS": "40", "NO_COLOR": "1", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    table = Table("#", "job", "status", "loss", "seconds")
    table.add_row("0", "units=4·seed=0", "FINISHED", "1.23456e-05", "123.4")
    console().print(table)
    assert {"units=4·seed=0", "FINISHED", "1.23456e-05", "123.4"} < set(terminal.getvalue().split())
