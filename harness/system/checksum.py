"""The checksum of a file: its size and its SHA-256."""

import hashlib
from pathlib import Path


def checksum(path: Path) -> dict[str, int | str]:
    """Return the `bytes` and the `sha256` of a file, or an empty dict if it cannot be read."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return {"bytes": file.tell(), "sha256": digest}
    except OSError:
        return {}
