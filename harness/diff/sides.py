"""Read the two networks: each is a run, or a file of another program."""

import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from harness.core.errors import ConfigError, check_choice
from harness.core.file_names import CONFIG
from harness.formats.trained_network import Network
from harness.readers.foreign_network import Stated
from harness.readers.from_file import read_file
from harness.runs.find import find_run
from harness.runs.stored_network import NEEDED, read_network

STATED = [field.name for field in fields(Stated)]


@dataclass(frozen=True)
class Side:
    """What the words of the command line say of one network."""

    letter: str  # a or b
    word: str
    settings: dict[str, str]  # what is stated of a file, or the replica of a run


def sides(words: Sequence[str]) -> tuple[Side, Side]:
    """Return both sides of the words: two networks, and `a.KEY=VALUE`. Raises `ConfigError`."""
    named = [word for word in words if not _is_setting(word)]
    if len(named) != 2:
        raise ConfigError(f"{' '.join(named) or 'A B'}: name two networks, runs or files.")
    found = []
    for letter, word in zip("ab", named, strict=True):
        own = [w[2:].partition("=") for w in words if _is_setting(w) and w[0] == letter]
        for key, _, _ in own:
            check_choice(f"{letter}.KEY", key, ["replica", *STATED])
        found.append(Side(letter, word, {key: value for key, _, value in own}))
    return found[0], found[1]


def _is_setting(word: str) -> bool:
    return re.match(r"[ab]\.\w+=", word) is not None and not Path(word).exists()


def read_side(side: Side, results: Path, uri: str | None) -> tuple[Network, list[str]]:
    """Read a network, and notes on what was taken to be so. Raises `ConfigError`."""
    path = Path(side.word)
    if side.word and path.exists() and not (path / CONFIG).is_file():
        return _file(side, path)
    for key in side.settings.keys() - {"replica"}:
        raise ConfigError(f"{side.letter}.{key}: {side.word} is a run, which says so itself.")
    replica = side.settings.get("replica", "0")
    if not replica.isdecimal():
        raise ConfigError(f"{side.letter}.replica={replica}: must be a whole number, from 0.")
    with tempfile.TemporaryDirectory() as fetched:
        folder = find_run("", side.word, results, uri, NEEDED, Path(fetched))
        try:
            return read_network(folder, int(replica)), []
        except ConfigError as error:
            raise _reworded(error, side) from error


def _file(side: Side, path: Path) -> tuple[Network, list[str]]:
    if "replica" in side.settings:
        raise ConfigError(f"{side.letter}.replica: {side.word} is no run, and has no replicas.")
    try:
        foreign = read_file(path, replace(Stated(), **side.settings))
    except ConfigError as error:
        raise _reworded(error, side) from error
    return foreign.network, foreign.notes


def _reworded(error: ConfigError, side: Side) -> ConfigError:
    """Return an error about an option, `--reset: …`, as one about `a.reset`."""
    return ConfigError(re.sub(r"^--(\w+)[ =]?", _key(side), str(error)))


def _key(side: Side) -> Callable[[re.Match[str]], str]:
    """Return a function that writes an option, `--only ` or `--only`, as a setting of a side."""
    return lambda option: f"{side.letter}.{option[1]}" + ("" if option[0][-1].isalpha() else "=")
