"""Files that are on the disk, whole, once they have their names.

After a power cut a file that was only written may be empty, even where a later one is whole. So
each file is written under a temporary name in its folder, forced to the disk and renamed, and then
the folder is forced to the disk, too. A process that is killed meanwhile leaves the earlier file,
or none, and perhaps a temporary one, `.NAME.partial`.
"""

import errno
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

# Bytes, text, or a function that writes the file at the path that it is given. That path has
# another ending than the file, so the function must not choose a format by it.
Content = bytes | str | Callable[[Path], object]

_on_disk: set[Path] = set()  # folders that `sync_parents` has forced to the disk as parents

PARTIAL = re.compile(r"\..+\.partial", re.DOTALL)  # names of temporary files


def write_file(path: Path, content: Content) -> None:
    """Write one file durably; see `write_files`."""
    write_files({path: content})


def write_files(contents: Mapping[Path, Content]) -> None:
    """Write files durably, in this order; each folder is forced to the disk once, at the end.

    Missing folders are made. Files that exist are replaced. Raises `OSError`, and what a function
    among `contents` raises; the file that was being written is as it was before.
    """
    folders = dict.fromkeys(path.parent for path in contents)
    made = [parent for folder in folders for parent in _make(folder)]
    for path, content in contents.items():
        _replace(path, content)
    for folder in dict.fromkeys([*folders, *made]):
        sync_folder(folder)


def write_new(path: Path, content: Content) -> None:
    """Write one file durably, see `write_files`; raise `FileExistsError` if there is one.

    A process that is killed meanwhile leaves an empty file.
    """
    _make(path.parent)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        write_file(path, content)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk, where the operating system can do so.

    Windows opens no folders, and some network file systems refuse.
    """
    with suppress(OSError):
        _sync(folder, os.O_RDONLY)


def sync_parents(folder: Path) -> None:
    """Force a folder that may be new to the disk: its names, and its own in each parent.

    Beyond its own parent, which may have got more folders, a process does each but once.
    """
    folder = folder.absolute()
    sync_folder(folder)
    for parent in folder.parents:
        if parent == folder.parent or parent not in _on_disk:
            sync_folder(parent)
    _on_disk.update(folder.parents)


def sync_file(path: Path | str) -> None:
    """Force a file's contents to the disk."""
    _sync(path, os.O_RDWR)


def sync_tree(folder: Path) -> None:
    """Force a folder with all that is in it to the disk, before it is renamed as a whole."""
    for place, _, names in os.walk(folder):
        for name in names:
            sync_file(Path(place, name))
        sync_folder(Path(place))


def _make(folder: Path) -> list[Path]:
    """Make a folder and its missing parents; return the parents of those that were missing."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return [path.parent for path in missing]


def _replace(path: Path, content: Content) -> None:
    """Write one file under a temporary name, force it to the disk, and give it its name."""
    partial = _new_partial(path)
    try:
        if callable(content):
            content(partial)
        else:
            partial.write_bytes(content.encode() if isinstance(content, str) else content)
        sync_file(partial)
        os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


def _new_partial(path: Path) -> Path:
    """Create the temporary file of `path`, under a name that nothing has yet."""
    number = 1
    while True:
        extra = "" if number == 1 else f".{number}"
        partial = path.with_name(f".{path.name}{extra}.partial")
        try:
            os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except FileExistsError:  # left by a process that was killed, or somebody else's
            number += 1
        else:
            return partial


def _sync(path: Path | str, flags: int) -> None:
    opened = os.open(path, flags)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that cannot
            raise
    finally:
        os.close(opened)
