"""Change the files of a recorded run at random, and give them to whatever reads such files.

A reader may refuse what it is given, in one line, or accept it; nothing else: no other exception,
no hang, no memory beyond a bound. Half of the changes come with a checksum that fits, so that the
checks behind it are tried, too.
"""

import json
import random
import resource
import shutil
import signal
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from harness.core.errors import ConfigError
from harness.core.file_names import (
    CHECKPOINTS,
    CONFIG,
    FINAL_WEIGHTS,
    INITIAL_WEIGHTS,
    JOURNAL,
    NETWORK,
    PREDICTIONS,
    SENT,
)
from harness.doctor.journal_check import check_directory
from harness.notebook.runs import load_run
from harness.runs.resume import resumed
from harness.runs.stored_network import read_network
from harness.tracking import job_outcomes, sent
from harness.tracking.dead_runs import is_dead
from harness.training.plan import prepare
from harness.why import __main__ as why
from tests.faults.fault import Fault
from tests.faults.trial import Trial, epochs
from tests.support.recorded_files import record_again
from tests.support.resumed_runs import settings

SECONDS = 120  # after which a reader hangs: many times what a busy machine takes
MEMORY = 2**31  # bytes of addresses that a reader may take, modules that it imports included
VALUES = (None, True, -1, 0, 10**9, 10**30, 1e308, float("nan"), "", "x" * 5000, [], {}, [[]])
FILES = (CONFIG, JOURNAL, NETWORK, PREDICTIONS, INITIAL_WEIGHTS, FINAL_WEIGHTS, SENT)


class Hangs(BaseException):
    """A reader took too long."""


def resume(folder: Path) -> None:
    """Resume the run, up to the point where training would begin."""
    config = settings(folder.parent / "next", f"resume={folder}", "trainer.epochs=12")
    resumed(prepare(config))


def notebook(folder: Path) -> None:
    """Read all that a notebook can ask of a run."""
    run = load_run(folder)
    _ = run.predictions, run.weights, run.curves


def export(folder: Path) -> None:
    """Read the network as `harness export` does."""
    read_network(folder, 0)


def explain(folder: Path) -> None:
    """Read the run as a side of `harness why`."""
    why.read_sides(why.parse_arguments([str(folder), str(folder)]))


def track(folder: Path) -> None:
    """Read what tracking reads before it asks MLflow."""
    for read in (sent.destination, sent.address, is_dead):
        read(folder)
    job_outcomes.jobs(folder)


def examine(folder: Path) -> None:
    """Let `harness doctor` look at the folder."""
    list(check_directory(folder))


READERS: tuple[Callable[[Path], None], ...] = (resume, notebook, export, explain, track, examine)


@dataclass
class Outcome:
    """What the readers did with changed files."""

    counts: Counter[str] = field(default_factory=Counter[str])  # accepted, refused, failed
    failures: list[str] = field(default_factory=list[str])


def try_mutations(run: Path, count: int, chance: random.Random) -> Outcome:
    """Change a copy of `run` in `count` ways, and give each to all readers."""
    outcome = Outcome()
    files = [*FILES, *(f"{CHECKPOINTS}/{path.name}" for path in (run / CHECKPOINTS).iterdir())]
    for number in range(count):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(shutil.copytree(run, Path(place, "run")))
            path = chance.choice(files)
            how = _mutate(folder / path, chance)
            if chance.random() < 0.5 and path != JOURNAL and (folder / path).exists():
                record_again(folder, path)
            for reader in READERS:
                _try(reader, folder, f"{number}: {path}, {how}, {reader.__name__}", outcome)
    return outcome


def _try(reader: Callable[[Path], None], folder: Path, what: str, outcome: Outcome) -> None:
    try:
        with _limited():
            reader(folder)
        outcome.counts["accepted"] += 1
    except ConfigError as error:
        outcome.counts["refused"] += 1
        if "\n" in str(error):
            outcome.failures.append(f"{what}: its message has several lines: {error}")
    except (Exception, Hangs) as error:
        outcome.counts["failed"] += 1
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        outcome.failures.append(f"{what}: {type(error).__name__}: {str(error)[:200]} ({where})")


@contextmanager
def _limited() -> Iterator[None]:
    """Raise `Hangs` if the block takes too long, and `MemoryError` if it takes too much."""

    def stop(*_: Any) -> None:
        raise Hangs

    before = signal.signal(signal.SIGALRM, stop)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _mutate(path: Path, chance: random.Random) -> str:
    """Change a file in a way that chance chooses; return which."""
    ways: list[Callable[[bytes, random.Random], bytes]] = [flip, cut, zero, lose, double, garble]
    if path.suffix in (".json", ".jsonl"):
        ways += [other_value] * 6
    if path.suffix == ".yaml":
        ways += [other_setting] * 6
    way = chance.choice(ways)
    path.write_bytes(way(path.read_bytes(), chance))
    if chance.random() < 0.02:
        path.unlink()
        return "removed"
    return way.__name__


def flip(content: bytes, chance: random.Random) -> bytes:
    """Flip a bit."""
    changed = bytearray(content)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def cut(content: bytes, chance: random.Random) -> bytes:
    """Cut the end off."""
    return content[: chance.randrange(len(content))]


def zero(content: bytes, chance: random.Random) -> bytes:
    """Put zeros in place of the end, as after a power cut."""
    kept = chance.randrange(len(content))
    return content[:kept] + bytes(len(content) - kept)


def lose(content: bytes, chance: random.Random) -> bytes:
    """Lose a part in the middle."""
    first, last = sorted(chance.randrange(len(content)) for _ in range(2))
    return content[:first] + content[last:]


def double(content: bytes, chance: random.Random) -> bytes:
    """Double a part."""
    first, last = sorted(chance.randrange(len(content)) for _ in range(2))
    return content[:last] + content[first:]


def garble(content: bytes, chance: random.Random) -> bytes:
    """Put random bytes somewhere."""
    place = chance.randrange(len(content))
    return content[:place] + chance.randbytes(chance.randrange(1, 64)) + content[place:]


def other_value(content: bytes, chance: random.Random) -> bytes:
    """Replace a value in a line of JSON by one of another type or size."""
    lines = content.splitlines() if content.count(b"\n{") else [content]
    number = chance.randrange(len(lines))
    document = json.loads(lines[number])
    holder, key = chance.choice(list(_places(document)))
    holder[key] = chance.choice(VALUES)
    lines[number] = json.dumps(document).encode()
    return b"\n".join(lines) + b"\n"


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container and key at which a document has a value."""
    keys: Any = value.keys() if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def other_setting(content: bytes, chance: random.Random) -> bytes:
    """Replace the value of a line of YAML."""
    lines = content.decode().splitlines()
    number = chance.choice([i for i, line in enumerate(lines) if ": " in line])
    key, _, _ = lines[number].partition(": ")
    lines[number] = f"{key}: {json.dumps(chance.choice(VALUES))}"
    return ("\n".join(lines) + "\n").encode()


def once(trial: Trial) -> None:
    """Change a file of a run, which the first try records."""
    if not trial.found():
        trial.finish(trial.train(epochs(20), "tracking=journal"), 0)
        directory = trial.found()[0].directory
        sent.save(directory, "sqlite:///../mlflow.db", sent.Sent(run_id="a", numbers=9))
    trial.problems += try_mutations(trial.found()[0].directory, 1, trial.random).failures


FAULTS = [
    Fault(
        name="mutation",
        what="a file changed at random, and given to six readers",
        once=once,
        tries=10_000,
        settles=True,
    )
]
