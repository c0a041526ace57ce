"""A configuration as plain values: for `config.yaml`, for MLflow's parameters, for comparisons."""

from dataclasses import asdict, fields
from enum import Enum
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from harness.config.schema import Config

# Settings of a backend that follow from its name.
FIXED_BY_BACKEND = ("packages", "devices", "factory", "kernels", "epoch_is_a_call", "sets_threads")
# Where files are kept, and which checkpoints.
IRRELEVANT = ("results", "trainer.checkpoint_every", "trainer.keep_checkpoints")


def flat_params(config: Config) -> dict[str, Any]:
    """Return every setting that a user chooses as `group.key: value`."""
    groups = nested_params(config)
    for name in ("task", "optimizer"):
        del groups[name]["_target_"]
    for key in FIXED_BY_BACKEND:
        del groups["backend"][key]
    return flatten(groups)


def is_relevant(name: str) -> bool:
    """Return whether a number may depend on a setting, by its dotted key."""
    return name not in IRRELEVANT and not name.startswith("tracking.")


def nested_params(config: Config) -> dict[str, Any]:
    """Return every setting by its group; `from_hydra` turns it into the same configuration."""
    groups: dict[str, Any] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        groups[field.name] = value if isinstance(value, int | str | None) else asdict(value)
    for name, settings in (("task", config.task), ("optimizer", config.optimizer)):
        kind = type(settings)
        groups[name] = {"_target_": f"{kind.__module__}.{kind.__name__}"} | groups[name]
    return groups


def config_text(config: Config) -> str:
    """Return every setting as YAML, the `config.yaml` of a run.

    It is what `OmegaConf.to_yaml` writes, in a tenth of the time.
    """
    return yaml.dump(
        nested_params(config), Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=10**6
    )


class _Dumper(yaml.CDumper):
    """A writer of YAML that OmegaConf reads, which takes more texts for numbers than YAML does."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write what occurs twice twice: `load_config` refuses aliases."""
        return True


def _represent_text(dumper: Any, text: str) -> yaml.ScalarNode:
    try:
        float(text)
    except ValueError:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'")


def _represent_enum(dumper: Any, member: Enum) -> yaml.ScalarNode:
    return _represent_text(dumper, member.name)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_multi_representer(Enum, _represent_enum)


def flat_composed(composed: DictConfig) -> dict[str, Any]:
    """Return a composed or saved configuration as `group.key: value`, interpolations resolved."""
    plain: Any = OmegaConf.to_container(composed, resolve=True)
    return flatten(plain)


def flatten(groups: dict[str, dict[str, Any] | int | str | None]) -> dict[str, Any]:
    """Turn `{group: {key: value}}` into `{group.key: value}`; keys without a group stay."""
    flat: dict[str, Any] = {}
    for group, value in groups.items():
        if isinstance(value, dict):
            flat |= {f"{group}.{key}": setting for key, setting in value.items()}
        else:
            flat[group] = value
    return flat
