"""Sort runs into groups that differ in nothing but the backend, and give each group a title.

A title is the task's name (or its preset's) and the settings in which groups of that name differ.
If that is too long to read, groups are numbered and their settings are listed separately.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from harness.config.serialise import is_relevant

BACKEND_KEYS = ("backend.name", "device", "threads", "trainer.deterministic")  # may differ
KINDS = ("semantics.name", "optimizer.name", "model.cell")  # each decides many other settings
ORDER = ("numpy", "torch", "keras", "jax")
LONGEST = 60  # characters of a title

Settings = dict[str, str]


class ComparedRun(Protocol):
    """A run as a comparison needs it, read from MLflow or from its journal."""

    status: str
    start_time: int  # milliseconds since 1970
    params: Settings
    tags: dict[str, str]
    is_linked: bool  # by a sweep that did not train it

    @property
    def curves(self) -> Any:
        """The loss curves, a data frame: index epoch, columns `train/loss` and `val/loss`."""

    def final(self, name: str) -> float | None:
        """Return a metric at the weights that the run kept, or None."""
        ...


Run = TypeVar("Run", bound=ComparedRun)


@dataclass(kw_only=True)
class Group(Generic[Run]):
    """One configuration in several backends."""

    title: str
    runs: dict[str, Run]  # backend -> its latest run
    settings: str = ""  # of a numbered group: those that differ from the usual ones
    usual: str = ""  # of a numbered group: the most frequent settings of groups with its name

    @property
    def reference(self) -> str:
        """The backend with which the others are compared: the first, NumPy if it is there."""
        return next(iter(self.runs))


def group_runs(runs: Iterable[Run]) -> list[Group[Run]]:
    """Sort runs into groups; of repeated runs the latest finished one is taken."""
    runs_by_settings: dict[tuple, dict[str, Run]] = {}
    for run in sorted(runs, key=lambda r: (r.status == "FINISHED", r.start_time)):
        key = tuple(
            sorted(
                (k, v) for k, v in run.params.items() if k not in BACKEND_KEYS and is_relevant(k)
            )
        )
        runs_by_settings.setdefault(key, {})[run.params.get("backend.name", "?")] = run
    names = {
        key: _name(next(iter(by_backend.values()))) for key, by_backend in runs_by_settings.items()
    }
    titles: dict[tuple, tuple[str, str, str]] = {}
    for name in dict.fromkeys(names.values()):
        keys = [key for key in runs_by_settings if names[key] == name]
        titles |= dict(zip(keys, _titles(name, [dict(key) for key in keys]), strict=True))
    groups = []
    for key, by_backend in runs_by_settings.items():
        ranked = sorted(by_backend, key=lambda n: (ORDER.index(n) if n in ORDER else 99, n))
        title, settings, usual = titles[key]
        ordered = {name: by_backend[name] for name in ranked}
        groups.append(Group(title=title, runs=ordered, settings=settings, usual=usual))
    return groups


def _name(run: ComparedRun) -> str:
    return run.tags.get("preset") or run.params.get("task.name", "?")


def _titles(name: str, settings: list[Settings]) -> list[tuple[str, str, str]]:
    """Return the title of each group of one name, its own settings and the usual ones.

    The settings are empty where the title names them.
    """
    keys = _distinguishing(settings)
    titles = [" ".join([name, *(f"{k}={s[k]}" for k in keys if k in s)]) for s in settings]
    if max(map(len, titles)) <= LONGEST:
        return [(title, "", "") for title in titles]
    usual = {k: Counter(s.get(k) for s in settings).most_common(1)[0][0] for k in keys}
    common = " ".join(f"{k}={v or 'none'}" for k, v in usual.items())
    unusual = []
    for group in settings:
        differing = [k for k in keys if group.get(k) != usual[k]]
        words = " ".join(f"{k}={group.get(k, 'none')}" for k in differing)
        unusual.append(words or "the usual ones")
    return [(f"{name} #{n}", words, common) for n, words in enumerate(unusual, start=1)]


def _distinguishing(settings: list[Settings]) -> list[str]:
    """Return the settings in which groups of one name differ.

    Settings that follow from a preset, an optimiser or a cell that differs are left out.
    """
    keys = sorted(set().union(*settings)) if settings else []
    varying = [k for k in keys if len({s.get(k) for s in settings}) > 1]
    kinds = [k for k in KINDS if k in varying]
    return [
        key
        for key in varying
        if not any(key != kind and _follows(key, kind, settings) for kind in kinds)
    ]


def _follows(key: str, kind: str, settings: list[Settings]) -> bool:
    """Return whether `kind` is in the same group of settings as `key` and determines its value."""
    if key.partition(".")[0] != kind.partition(".")[0]:
        return False
    pairs = {(s.get(kind), s.get(key)) for s in settings}
    return len(pairs) == len({s.get(kind) for s in settings})
