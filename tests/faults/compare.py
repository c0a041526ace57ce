"""Compare what MLflow has with what the journals say, with MLflow's client and JSON alone.

None of the harness's code is used here: it is what is tested.
"""

import json
import math
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

Event = dict[str, Any]
Curve = list[tuple[int, dict[str, Any], str | None]]  # step, values and digest of the state

JOURNAL = "journal.jsonl"
NOTE, PARENT = "mlflow.note.content", "mlflow.parentRunId"


@dataclass
class Journal:
    """The events of one journal, and how many of its lines are damaged."""

    directory: Path
    events: list[Event] = field(default_factory=list[Event])
    damaged: int = 0

    def all(self, kind: str) -> list[Event]:
        return [event for event in self.events if event["kind"] == kind]

    @property
    def start(self) -> Event | None:
        return next(iter(self.all("start")), None)

    @property
    def end(self) -> Event:
        """The last end: a sweep that goes on has several."""
        return next(reversed(self.all("end")), {})

    @property
    def id(self) -> str:
        """The id by which MLflow knows the run; a sweep's journal begins with another event."""
        return (self.start or {}).get("id", "")

    @property
    def is_tracked(self) -> bool:
        return self.start is not None and self.start.get("store") is not None

    def curve(self) -> Curve:
        return [(e["step"], e["values"], e.get("state")) for e in self.all("metrics")]


def read(directory: Path) -> Journal:
    journal = Journal(directory)
    for line in (directory / JOURNAL).read_bytes().split(b"\n"):
        try:
            event = json.loads(line)
            journal.events += [event] if event["kind"] else []
        except (ValueError, KeyError, TypeError):
            journal.damaged += bool(line)
    return journal


def journals(folder: Path) -> list[Journal]:
    """Return every journal below a folder, the oldest first."""
    found = [read(directory) for directory in directories(folder)]
    return sorted(found, key=lambda j: j.events[0]["time"] if j.events else math.inf)


def directories(folder: Path) -> list[Path]:
    """Return the directories of runs and sweeps below a folder; MLflow's copies do not count."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in ("artifacts", "checkpoints")]
        found += [Path(place)] if JOURNAL in files else []
    return sorted(found)


@dataclass
class Comparison:
    """Runs that journals have begun, those that MLflow has, and those that are equal."""

    expected: int = 0
    found: int = 0
    equal: int = 0
    problems: list[str] = field(default_factory=list[str])


def compare(results: Path, uri: str, experiment: str | None = None) -> Comparison:
    """Compare each tracked run and sweep in `results` with its run in the store `uri`.

    No other runs may be there, or in its `experiment`, if one is named.
    """
    comparison = Comparison()
    tracked = [journal for journal in journals(results) if journal.is_tracked]
    comparison.expected = len(tracked)
    client = _client(uri)
    runs = _runs(client, experiment)
    for journal in tracked:
        same = runs.pop(journal.id, [])
        problems = [f"{len(same)} runs of MLflow"] if len(same) != 1 else []
        comparison.found += bool(same)
        if same:
            problems += _differences(client, journal, same[0])
        comparison.equal += not problems
        comparison.problems += [f"{journal.directory}: {problem}" for problem in problems]
    for strangers in runs.values():
        names = ", ".join(run.info.run_name for run in strangers)
        comparison.problems.append(f"MLflow has runs without a journal: {names}")
    return comparison


@cache
def _client(uri: str) -> Any:
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def _runs(client: Any, experiment: str | None) -> dict[str, list[Any]]:
    """Return all runs of a store, also deleted ones, by the ids of their journals."""
    found: dict[str, list[Any]] = defaultdict(list)
    experiments = client.search_experiments(view_type=3)
    places = [e.experiment_id for e in experiments if experiment in (None, e.name)]
    token = None
    while places:
        page = client.search_runs(places, "", 3, 500, page_token=token)
        for run in page:
            found[run.data.tags.get("journal.id", "")].append(run)
        token = page.token
        if not token:
            break
    return found


def _differences(client: Any, journal: Journal, run: Any) -> Iterator[str]:
    """Yield how a run differs from its journal."""
    start, end, info, data = journal.start, journal.end, run.info, run.data
    assert start is not None
    yield from _different("name", start["name"], info.run_name)
    yield from _different("start", start["time"], info.start_time)
    yield from _different("status", end.get("status"), info.status)
    yield from _different("end", end.get("time"), info.end_time)
    params = {name: str(value)[:6000] for name, value in start["params"].items()}
    yield from _different("params", params, data.params)
    tags = start["tags"].copy()
    for event in journal.all("tags"):
        tags |= event["values"]
    note = tags.pop(NOTE)
    if note.strip()[:7000] not in data.tags.get(NOTE, ""):
        yield f"the description lacks {note!r}"
    tags = {name: str(value)[:8000] for name, value in tags.items()}
    yield from _different("tags", tags, {n: v for n, v in data.tags.items() if n in tags})
    if start.get("parent"):
        parent = read((journal.directory / start["parent"]).resolve())
        above = client.get_run(data.tags.get(PARENT, "none"))
        yield from _different("parent", parent.id, above.data.tags["journal.id"])
    inputs = [each.dataset.digest for each in run.inputs.dataset_inputs]
    yield from _different("data", [e["digest"] for e in journal.all("dataset")], inputs)
    yield from _numbers(client, journal, run)
    yield from _files(client, journal, info.run_id)


def _numbers(client: Any, journal: Journal, run: Any) -> Iterator[str]:
    expected: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for event in journal.events:
        if event["kind"] in ("metrics", "scalars", "system"):
            for name, value in event["values"].items():
                [number] = value if isinstance(value, list) else [value]
                shown = float(number) if math.isfinite(number) else math.nan
                expected[name].append((event.get("step", 0), repr(shown)))
    yield from _different("names of metrics", sorted(expected), sorted(run.data.metrics))
    for name, numbers in expected.items():
        history = client.get_metric_history(run.info.run_id, name)
        found = Counter((metric.step, repr(float(metric.value))) for metric in history)
        missing, more = Counter(numbers) - found, found - Counter(numbers)
        if missing or more:
            yield f"{name}: MLflow lacks {missing.total()} and has {more.total()} too many"


def _files(client: Any, journal: Journal, run_id: str) -> Iterator[str]:
    paths = dict.fromkeys(event["path"] for event in journal.all("file"))
    with tempfile.TemporaryDirectory() as folder:
        for path in [*paths, JOURNAL]:
            own = journal.directory / path
            try:
                sent = Path(client.download_artifacts(run_id, path, folder)).read_bytes()
            except Exception as error:  # of any store
                yield f"{path} is not in MLflow ({str(error)[:80]})"
                continue
            if own.exists() and sent != own.read_bytes():
                yield f"{path} is not the same in MLflow"
    for event in journal.all("table"):
        listed = [each.path for each in client.list_artifacts(run_id)]
        if Path(event["path"]).with_suffix(".json").name not in listed:
            yield f"the table of {event['path']} is not in MLflow"


def _different(what: str, expected: object, actual: object) -> Iterator[str]:
    if expected != actual:
        yield f"{what}: {str(expected)[:200]!r} in the journal, {str(actual)[:200]!r} in MLflow"


def curve_difference(expected: Curve, actual: Curve, is_whole: bool) -> str | None:
    """Return how a curve differs from that of an undisturbed run, bit for bit, or None.

    Unless it is to be whole, it may end early. States are compared where both have their digests:
    a resumed run has none for the epochs before.
    """
    if is_whole and len(actual) != len(expected):
        return f"{len(actual)} epochs instead of {len(expected)}"
    for one, other in zip(expected, actual, strict=False):
        state = one[2] if other[2] is not None else None
        if (one[0], repr(one[1]), state) != (other[0], repr(other[1]), other[2]):
            return f"epoch {other[0]} differs: {str(one)[:200]} and {str(other)[:200]}"
    return None if len(actual) <= len(expected) else "more epochs than an undisturbed run"
