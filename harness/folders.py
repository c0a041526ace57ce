"""Taking back a folder that was made for something that then could not begin."""

import shutil
from pathlib import Path


def remove(folder: Path) -> None:
    """Remove `folder`, and the two above it (`runs`, `results`) if nothing else is in them."""
    shutil.rmtree(folder, ignore_errors=True)
    for above in list(folder.parents)[:2]:
        try:
            above.rmdir()
        except OSError:  # not empty, or not ours
            return
