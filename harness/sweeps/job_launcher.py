"""The launcher that carries a sweep's jobs out, as Hydra's configuration chooses it."""

from omegaconf import DictConfig

OWN = "hydra_plugins.batched_launcher."
NEEDED = "hydra/launcher=batched, ray or slurm, without hydra.job.chdir and hydra.job.env_set"


def has_units(config: DictConfig) -> bool:
    """Return whether jobs are carried out in units, and not one by one by a launcher of Hydra's.

    A current directory or an environment of each job's own needs Hydra's.
    """
    is_own = str(config.hydra.launcher.get("_target_")).startswith(OWN)
    return is_own and not config.hydra.job.chdir and not config.hydra.job.env_set
