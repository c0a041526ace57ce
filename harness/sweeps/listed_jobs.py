"""All jobs of a sweep file, with the words that were typed besides."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import DictConfig

from harness.config.compose import explained
from harness.core.errors import ConfigError
from harness.sweeps import sweep
from harness.sweeps.axes import Words
from harness.sweeps.job_sets import jobs_of
from harness.sweeps.sweep_file import SweepFile, recorded_file
from harness.sweeps.swept_values import MAX_JOBS, parse_words, sweep_words, values_of


@dataclass
class ListedJobs:
    """The jobs that a sweep file lists, each once."""

    jobs: list[Words] = field(default_factory=list[Words])
    items: list[int] = field(default_factory=list[int])  # of the file, from 1: one for each job
    repeated: int = 0  # jobs left out since they are there already

    @property
    def overrides(self) -> list[list[str]]:
        """The words of each job."""
        return [list(job.values()) for job in self.jobs]

    @property
    def varying(self) -> list[str]:
        """The keys that distinguish the jobs, in the order of the file."""
        keys = dict.fromkeys(key for job in self.jobs for key in job)
        return [key for key in keys if len({job.get(key) for job in self.jobs}) > 1]


def listed_jobs(file: SweepFile, typed: Sequence[str]) -> ListedJobs:
    """Return the jobs of all items of a file, in their order. Raises `ConfigError`.

    `typed` are the words of the command line.
    """
    axes = [
        [{override.get_key_element().lstrip("+~"): word} for word in values_of(override)]
        for override in parse_words(typed)
    ]
    listed, seen = ListedJobs(), set[frozenset[str]]()
    for number, item in enumerate(file.items, 1):
        try:
            jobs = jobs_of(item, axes)
        except ConfigError as error:
            raise ConfigError(f"{file.path}, item {number}: {error}") from error
        by_words = {frozenset(job.values()): job for job in jobs}
        new = [job for words, job in by_words.items() if words not in seen]
        seen.update(by_words)
        listed.repeated += len(jobs) - len(new)
        listed.jobs += new
        listed.items += [number] * len(new)
        if len(listed.jobs) > MAX_JOBS:
            raise ConfigError(f"{file.path}: has more than {MAX_JOBS:,} jobs, the most of a sweep.")
    return listed


@contextmanager
def naming_item(config: DictConfig, number: int, overrides: Sequence[str]) -> Generator[bool]:
    """Name file and item where the block cannot compose job `number` of the running sweep.

    `config` is that of the sweep. Gives whether there is a sweep file; without one every exception
    stays as it is.
    """
    swept = sweep.current()
    if swept is None or swept.file is None:
        yield False
        return
    try:
        with explained(list(overrides)):
            yield True
    except ConfigError as error:
        file = recorded_file(Path(swept.directory))
        assert file is not None
        item = listed_jobs(file, sweep_words(config)).items[number]
        name = f", job {swept.job_name(list(overrides))}" if swept.varying else ""
        raise ConfigError(f"{file.path}, item {item}{name}: {error}") from error
