"""Compose many configurations quickly: the jobs of a sweep differ mostly in values.

Hydra takes some 50 ms for a composition, nearly all of it to find and merge the chosen options.
Overrides that choose the same options are composed once. Their plain values (`KEY=VALUE`) are then
set in a copy, by Hydra's own function and at the point where Hydra sets them: after all merging.
"""

import pickle
from collections.abc import Callable, Sequence
from functools import partial

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig


class Composer:
    """A function from overrides to a composition, with a cache by the options that they choose.

    `load` composes overrides by Hydra.
    """

    def __init__(self, load: Callable[[list[str]], DictConfig]) -> None:
        self.load = load
        self._composed: dict[tuple[str, ...], bytes] = {}
        self._groups: set[str] | None = None  # the config groups

    def __call__(self, overrides: Sequence[str]) -> DictConfig:
        """Return what `load(overrides)` returns; raise what it raises."""
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        if any(_is_special(override) for override in parsed):
            return self.load(list(overrides))
        if self._groups is None:
            self._groups = set(self._base(()).hydra.runtime.choices)
        values = [o for o in parsed if not o.is_hydra_override()]
        values = [o for o in values if o.key_or_group not in self._groups]
        chosen = (line for o in parsed if o not in values and (line := o.input_line) is not None)
        composed = self._base(tuple(chosen))
        # Hydra has no public function that sets values in a composition.
        apply = ConfigLoaderImpl._apply_overrides_to_config  # pyright: ignore[reportPrivateUsage]
        apply(values, composed)
        _record_overrides(composed, parsed)
        return composed

    def _base(self, chosen: tuple[str, ...]) -> DictConfig:
        """Return a copy of the composition of the chosen options.

        Unpickling takes a fifth of the time that `deepcopy` does.
        """
        if chosen not in self._composed:
            self._composed[chosen] = pickle.dumps(self.load(list(chosen)))
        return pickle.loads(self._composed[chosen])


def sweep_composer(loader: ConfigLoader, sweep: DictConfig) -> Composer:
    """Return a composer for the jobs of `sweep`, the configuration before its split into jobs."""
    return Composer(partial(loader.load_sweep_config, sweep))


def _is_special(override: Override) -> bool:
    """Return whether Hydra has to compose an override itself.

    It has to where the override adds, deletes or repackages: then the order of the overrides may
    matter. `hydra.searchpath` decides what there is to choose.
    """
    key = override.key_or_group
    plain = override.type == OverrideType.CHANGE and "/" not in key
    plain |= override.type == OverrideType.FORCE_ADD and "." in key and "/" not in key  # a value
    repackaged = override.package is not None
    return not plain or repackaged or override.is_sweep_override() or key == "hydra.searchpath"


def _record_overrides(composed: DictConfig, parsed: list[Override]) -> None:
    """Set what Hydra records of a job's overrides, for its folder and its log."""
    job = composed.hydra.job
    task = [override for override in parsed if not override.is_hydra_override()]
    composed.hydra.overrides.task = [override.input_line for override in task]
    rules = job.config.override_dirname
    job.override_dirname = get_overrides_dirname(
        overrides=task,
        kv_sep=rules.kv_sep,
        item_sep=rules.item_sep,
        exclude_keys=rules.exclude_keys,
    )
