"""The kernel and the threads with which a run was trained, where its settings leave them open.

With `auto` they depend on what was measured by then, so a run is repeated with those in its tags.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from harness.config.damaged_files import reading
from harness.config.schema import Config
from harness.core.file_names import JOURNAL
from harness.tracking.journal import read
from harness.training.plan import Plan
from harness.training.replica_chunks import slices_for


def run_tags(folder: Path) -> dict[str, str]:
    """Return the tags in a run's journal. Raises `ConfigError` for a damaged one."""
    tags: dict[str, str] = {}
    with reading(folder / JOURNAL):
        for event in read(folder):
            tags |= event["tags"] if event["kind"] == "start" else {}
            tags |= event["values"] if event["kind"] == "tags" else {}
    return tags


def as_recorded(config: Config, tags: Mapping[str, str], typed: Collection[str] = ()) -> Config:
    """Return a configuration with the kernel and the threads of a run, by its tags.

    What a configuration gives itself stays, and so do the keys that were `typed`. A kernel says
    nothing about another backend.
    """
    if str(tags.get("backend")) != config.backend.name:
        return config
    kernel = str(tags.get("kernel")).partition(",")[0]  # it may go on with: in 3 chunks
    backend, threads = config.backend, _number(tags.get("threads"))
    is_open = backend.kernel == "auto" and "backend.kernel" not in typed
    if is_open and kernel in backend.start_ups:
        config = replace(config, backend=replace(backend, kernel=kernel))
    if config.threads == "auto" and "threads" not in typed and threads is not None:
        config = replace(config, threads=threads)
    return config


def with_recorded_kernel(plan: Plan, tags: Mapping[str, str]) -> Plan:
    """Return a plan with the kernel and the threads of a run, by its tags; see `as_recorded`.

    Its chunks of replicas use the threads of this process.
    """
    config = as_recorded(plan.config, tags)
    execution, backend = replace(plan.execution, kernel=config.backend.kernel), config.backend
    slices = slices_for(plan.model, config.replicas, execution, backend.epoch_is_a_call)
    if backend.sets_threads and config.threads != plan.config.threads and len(slices) == 1:
        assert isinstance(config.threads, int)
        execution = replace(execution, each=config.threads)
    return replace(plan, execution=execution)


def _number(word: object) -> int | None:
    """Return a number of threads in a tag, None where it is none."""
    text = str(word)
    return int(text) if text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= 1024 else None
