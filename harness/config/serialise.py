"""A configuration as plain values: for `config.yaml`, MLflow's parameters, and to compare two."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from harness.config.schema import Config

# Of a backend; its name says them all.
RECIPES = ("packages", "devices", "factory", "kernels", "epoch_is_a_call")


def flat_params(config: Config) -> dict[str, Any]:
    """Every setting as `group.key: value`, for the record."""
    groups = nested_params(config)
    for name in ("task", "optimizer"):
        del groups[name]["_target_"]
    for recipe in RECIPES:
        del groups["backend"][recipe]
    return flatten(groups)


def nested_params(config: Config) -> dict[str, Any]:
    """Every setting by its group; `from_hydra` makes the same configuration of it."""
    groups: dict[str, Any] = {}
    for each in fields(config):
        value = getattr(config, each.name)
        groups[each.name] = value if isinstance(value, int | str | None) else asdict(value)
    for name in ("task", "optimizer"):
        kind = type(getattr(config, name))
        groups[name] = {"_target_": f"{kind.__module__}.{kind.__name__}"} | groups[name]
    return groups


def save_config(path: Path, config: Config) -> None:
    """Write every setting as YAML, as `config.yaml` of a run."""
    OmegaConf.save(OmegaConf.create(nested_params(config)), path)


def flat_composed(composed: DictConfig) -> dict[str, Any]:
    """What Hydra composed, or a run saved, as `group.key: value`, with interpolations resolved."""
    plain: Any = OmegaConf.to_container(composed, resolve=True)
    return flatten(plain)


def flatten(groups: dict[str, Any]) -> dict[str, Any]:
    """`{group: {key: value}}` as `{group.key: value}`; a key of no group stays as it is."""
    flat = {}
    for group, value in groups.items():
        rows = value.items() if isinstance(value, dict) else [(None, value)]
        flat |= {group if key is None else f"{group}.{key}": v for key, v in rows}
    return flat
