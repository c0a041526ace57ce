"""A record of the files and folders that this process has made, and may therefore remove.

A path that a user names may hold anything. So nothing is removed as a tree: a file is deleted only
if it was noted here, and a folder only if it was noted here and is empty by then.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path

_files: set[Path] = set()
_folders: set[Path] = set()


def make_folder(folder: Path) -> bool:
    """Make `folder` and its missing parents, and note them.

    Returns True if this call made `folder`, False if it was there. Raises `OSError`.
    """
    folder = folder.absolute()
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    made_here = False
    for path in reversed(missing):
        try:
            path.mkdir()
        except FileExistsError:  # another process was quicker, so this one may not remove it
            continue
        _folders.add(path)
        made_here = path == folder
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    return made_here


def note_files(*paths: Path) -> None:
    """Note files that this process makes; they need not be there yet."""
    _files.update(path.absolute() for path in paths)


def note_folder(folder: Path) -> None:
    """Note a folder that this process makes by other means than `make_folder`."""
    _folders.add(folder.absolute())


def note_tree(path: Path) -> None:
    """Note a file, or a folder with all that is in it, that this process has just made."""
    for entry in (path, *path.rglob("*")):
        note_folder(entry) if entry.is_dir() else note_files(entry)


def take_back(folder: Path) -> None:
    """Remove the noted files and folders in `folder`, then `folder` and its parents.

    A folder is removed only if this process made it and nothing else is in it.
    """
    folder = folder.absolute()
    for path in {path for path in _files if path.is_relative_to(folder)}:
        with suppress(OSError):
            path.unlink()
        _files.discard(path)
    take_back_empty(folder)


def take_back_empty(folder: Path) -> None:
    """Remove the noted folders in `folder`, then `folder` and its parents, as far as empty."""
    folder = folder.absolute()
    inside = {path for path in _folders if path.is_relative_to(folder)}
    for path in sorted(inside, key=lambda p: len(p.parts), reverse=True):
        _remove_empty(path)
    for path in folder.parents:
        if path not in _folders or not _remove_empty(path):
            return


def keep(folder: Path) -> None:
    """Forget what was noted in `folder`: it holds results now, and nothing may remove them."""
    folder = folder.absolute()
    for noted in (_files, _folders):
        noted.difference_update([path for path in noted if path.is_relative_to(folder)])


def _remove_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:  # somebody else's file is in it
        return False
    _folders.discard(folder)
    return True
