"""The settings of the group `tracking`."""

from dataclasses import dataclass, field

from harness.config import tracking_store
from harness.core.errors import ConfigError, check_choice, check_package, check_range

FLAVORS = {"torch": ("torch",), "keras": ("keras", "tensorflow")}  # and the packages they need


@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """Where a run is tracked besides its own journal."""

    name: str  # mlflow, or journal: no MLflow at all
    uri: str | None  # MLflow's; null: MLFLOW_TRACKING_URI, or else sqlite in results/mlflow.db
    experiment: str | None  # null: MLFLOW_EXPERIMENT_NAME, or else one experiment per task
    flush_seconds: float  # how long metrics may wait to be sent in one batch
    wait_seconds: float = 10.0  # how long the end of the program may wait for MLflow
    model: bool = False  # whether MLflow gets the trained network, too, to be served
    flavors: list[str] = field(default_factory=list[str])  # of that model: torch, keras

    def __post_init__(self) -> None:
        check_choice("tracking.name", self.name, ("mlflow", "journal"))
        check_range("tracking.flush_seconds", self.flush_seconds, 0.0)
        check_range("tracking.wait_seconds", self.wait_seconds, 0.0)
        for flavor in self.flavors:
            check_choice("tracking.flavors", flavor, FLAVORS)
            for package in FLAVORS[flavor]:
                check_package(f"tracking.flavors=[{flavor}]", package, package)
        if self.flavors and not self.model:
            flavors = ",".join(self.flavors)
            raise ConfigError(f"tracking.flavors=[{flavors}]: needs tracking.model=true.")

    def experiment_or(self, usual: str) -> str:
        """Return the experiment's name: from the settings, the environment, or else `usual`."""
        return self.experiment or tracking_store.experiment_in_environment() or usual
