"""Make standard output and error safe to write to, so that printing never makes a run fail.

Every command calls `prepare` first. Afterwards

- a character that the encoding lacks is replaced by a similar one, or escaped, and a file's name is
  written as the bytes that it has on the disk;
- a stream that was closed from the start is redirected to the null device, so that no file takes
  its number;
- output is dropped once its reader has gone (`| head -1`) or the disk is full: a run has its files.
"""

import codecs
import contextlib
import errno
import io
import os
import sys
from typing import Any

LEGIBLE = "harness.legible"  # name of the error handler for characters that an encoding lacks
LOOK_ALIKES = {"·": "-", "−": "-", "–": "-", "→": "->", "↔": "<->", "…": "...", "×": "x", "±": "+-"}
LOOK_ALIKES |= {"µ": "u", "π": "pi", "σ": "sigma", "Σ": "sum", "²": "^2", "≤": "<=", "≥": ">="}


def prepare() -> None:
    """Make the process's three standard streams safe; it may be called again."""
    for number in range(3):
        _open_if_closed(number)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - stays open
    sys.stdout, sys.stderr = _safe(sys.stdout, 1), _safe(sys.stderr, 2)


def _open_if_closed(number: int) -> None:
    """Redirect a closed descriptor: the next file that is opened would get its number."""
    try:
        os.fstat(number)
    except OSError:
        _lead_nowhere(number)


def lead_nowhere(*numbers: int) -> None:
    """Redirect file descriptors to the null device."""
    for number in numbers:
        _lead_nowhere(number)


def _lead_nowhere(number: int) -> None:
    opened = os.open(os.devnull, os.O_RDWR)
    if opened == number:
        os.set_inheritable(opened, True)
    else:
        os.dup2(opened, number)
        os.close(opened)


def _safe(stream: Any, number: int) -> Any:
    """Return a safe stream in place of `stream`, which is None where it was closed."""
    if stream is None:
        return _text(io.BufferedWriter(Outlet(number, "w", closefd=False)), "utf-8", number == 2)
    if not isinstance(stream, io.TextIOWrapper):  # in a notebook
        return stream
    raw = getattr(stream.buffer, "raw", stream.buffer)
    # An `Outlet` from an earlier call, a test's stream, or a Windows console.
    if type(raw) is not io.FileIO or raw.fileno() != number:
        stream.reconfigure(errors=LEGIBLE)
        return stream
    outlet = Outlet(number, "w", closefd=False)
    buffer: Any = outlet if raw is stream.buffer else io.BufferedWriter(outlet)
    return _text(buffer, stream.encoding, stream.line_buffering, stream.write_through)


def _text(buffer: Any, encoding: str, lines: bool, through: bool = False) -> io.TextIOWrapper:
    return io.TextIOWrapper(buffer, encoding, LEGIBLE, line_buffering=lines, write_through=through)


class Outlet(io.FileIO):
    """A file descriptor that is redirected to the null device when a write fails."""

    def write(self, data: Any) -> int | None:
        """Write `data`; if that fails, drop it and all that follows."""
        try:
            return super().write(data)
        except OSError as error:
            _lead_nowhere(self.fileno())
            if self.fileno() == 1 and error.errno != errno.EPIPE:
                with contextlib.suppress(OSError):
                    os.write(2, f"standard output: cannot be written ({error}).\n".encode())
            return len(data)


def _legible(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return the replacement of the first character that an encoding lacks, and where to go on.

    This is an error handler for `codecs.register_error`.
    """
    assert isinstance(error, UnicodeEncodeError)
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":  # a byte of a file's name, see PEP 383
        return bytes([ord(character) - 0xDC00]), error.start + 1
    escaped = character.encode("ascii", "backslashreplace").decode()
    return LOOK_ALIKES.get(character, escaped), error.start + 1


codecs.register_error(LEGIBLE, _legible)
