"""Files of a recorded run that were changed since, and what its journal says of them."""

from pathlib import Path

from harness.system.checksum import checksum
from harness.tracking.journal_writer import append


def record_again(folder: Path, path: str) -> None:
    """Have the journal say that a file is as it is now, so that other checks see the change."""
    append(folder, "file", path=path, **checksum(folder / path))


def flip(path: Path, place: float) -> None:
    """Flip a bit of a file; `place` is 0 at its beginning and 1 at its end."""
    contents = bytearray(path.read_bytes())
    contents[int(place * (len(contents) - 1))] ^= 1
    path.write_bytes(contents)


def zero_tail(path: Path, share: float) -> None:
    """Put zeros in place of the last part of a file, as after a power cut."""
    contents = path.read_bytes()
    length = int(share * len(contents))
    path.write_bytes(contents[: len(contents) - length] + bytes(length))
