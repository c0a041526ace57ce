"""Runs sorted into groups that differ in nothing but the backend, and what each group is called.

A title is the task's name (or its preset's) and the settings in which groups of that name differ.
Where that would be too long to read, groups are numbered and their settings are listed apart.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from harness.tracking.mlflow_reader import TrackedRun

BACKEND_KEYS = ("backend.name", "device", "threads")  # may differ within a group
KINDS = ("semantics.name", "optimizer.name", "model.cell")  # much follows from these
ORDER = ("numpy", "torch", "keras", "jax")
LONGEST = 60  # of a title

Settings = dict[str, str]


@dataclass
class Group:
    """One configuration in several backends."""

    title: str
    runs: dict[str, TrackedRun]  # backend -> its latest run
    settings: str = ""  # those of a numbered group that are not the usual ones of its name
    usual: str = ""  # and these

    @property
    def reference(self) -> str:
        """The backend that the others are measured against: the first, NumPy if it is there."""
        return next(iter(self.runs))


def group_runs(runs: Iterable[TrackedRun]) -> list[Group]:
    """Sort runs into groups; of repeated runs the latest that finished counts."""
    found: dict[tuple, dict[str, TrackedRun]] = {}
    for run in sorted(runs, key=lambda r: (r.status == "FINISHED", r.start_time)):
        key = tuple(sorted((k, v) for k, v in run.params.items() if k not in BACKEND_KEYS))
        found.setdefault(key, {})[run.params.get("backend.name", "?")] = run
    names = {key: _name(next(iter(by_backend.values()))) for key, by_backend in found.items()}
    titles: dict[tuple, tuple[str, str, str]] = {}
    for name in dict.fromkeys(names.values()):
        keys = [key for key in found if names[key] == name]
        titles |= dict(zip(keys, _titles(name, [dict(key) for key in keys]), strict=True))
    groups = []
    for key, by_backend in found.items():
        ranked = sorted(by_backend, key=lambda n: (ORDER.index(n) if n in ORDER else 99, n))
        title, *apart = titles[key]
        groups.append(Group(title, {name: by_backend[name] for name in ranked}, *apart))
    return groups


def _name(run: TrackedRun) -> str:
    return run.tags.get("preset") or run.params.get("task.name", "?")


def _titles(name: str, settings: list[Settings]) -> list[tuple[str, str, str]]:
    """Of each group of one name its title, and what is listed apart: its own settings and the
    usual ones."""
    keys = _telling(settings)
    titles = [" ".join([name, *(f"{k}={s[k]}" for k in keys if k in s)]) for s in settings]
    if max(map(len, titles)) <= LONGEST:
        return [(title, "", "") for title in titles]
    usual = {k: Counter(s.get(k) for s in settings).most_common(1)[0][0] for k in keys}
    common = " ".join(f"{k}={v or 'none'}" for k, v in usual.items())
    apart = []
    for own in settings:
        unusual = [k for k in keys if own.get(k) != usual[k]]
        apart.append(" ".join(f"{k}={own.get(k, 'none')}" for k in unusual) or "the usual ones")
    return [(f"{name} #{n}", said, common) for n, said in enumerate(apart, start=1)]


def _telling(settings: list[Settings]) -> list[str]:
    """The settings in which groups of one name differ, without those that follow from a preset or
    a kind that is among them."""
    keys = sorted(set().union(*settings)) if settings else []
    varying = [k for k in keys if len({s.get(k) for s in settings}) > 1]
    kinds = [k for k in KINDS if k in varying]
    return [
        key
        for key in varying
        if not any(key != kind and _follows(key, kind, settings) for kind in kinds)
    ]


def _follows(key: str, kind: str, settings: list[Settings]) -> bool:
    """Whether `key` is of the same part of the configuration and the same wherever `kind` is."""
    if key.partition(".")[0] != kind.partition(".")[0]:
        return False
    pairs = {(s.get(kind), s.get(key)) for s in settings}
    return len(pairs) == len({s.get(kind) for s in settings})
