"""The space of a search: what Hydra's syntax for sweeps means as Optuna's distributions.

`choice(a,b)`, `a,b` and `glob(…)` are categories. `range(a,b,s)` has a, a + s, … below b, as Hydra
lists them: Optuna's own ranges include the end. `interval(a,b)` has real numbers, and
`int(interval(a,b))` the whole numbers from a to b. `tag(log, …)` puts an interval, or a range of
step 1, on a logarithmic scale.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Transformer

from harness.core.errors import ConfigError, first_line

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.distributions import BaseDistribution

Value: TypeAlias = bool | int | float | str


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One dimension of the space; `key` is its key as typed, with Hydra's + or ++."""

    key: str
    distribution: "BaseDistribution"
    values: Sequence[Value] | None = None  # all of them; None for an interval

    @property
    def name(self) -> str:
        """The key without Hydra's + or ++."""
        return self.key.lstrip("+~")

    def asked(self, trial: "Trial") -> str:
        """Ask for the value of a new trial; return its override."""
        d: Any = self.distribution
        if hasattr(d, "choices"):
            value = trial.suggest_categorical(self.name, d.choices)
        elif isinstance(d.low, int):
            value = trial.suggest_int(self.name, d.low, d.high, step=d.step, log=d.log)
        else:
            value = trial.suggest_float(self.name, d.low, d.high, step=d.step, log=d.log)
        return self.word(value)

    def word(self, value: Any) -> str:
        """Return the override for a value; of a range it is the number that Hydra would list."""
        if isinstance(value, float) and self.values and not hasattr(self.distribution, "choices"):
            value = min(self.values, key=lambda number: abs(float(number) - value))
        return f"{self.key}={value}"

    @property
    def corners(self) -> list[str]:
        """The overrides of every category, or of both ends of a range of numbers."""
        d: Any = self.distribution
        values = d.choices if hasattr(d, "choices") else (d.low, d.high)
        return [self.word(value) for value in dict.fromkeys(values)]


def space_of(overrides: Mapping[str, Override]) -> list[Parameter]:
    """Return the space of overrides that sweep, by their keys as typed. Raises `ConfigError`."""
    return [_parameter(key, override) for key, override in overrides.items()]


def check_sampler(sampler: str, space: list[Parameter]) -> None:
    """Raise `ConfigError` for a space that a sampler cannot search."""
    if not space:
        raise ConfigError(
            "hydra/sweeper=optuna: there is nothing to search for; give a key several values, such "
            "as optimizer.lr=tag(log,interval(1e-4,1e-1))."
        )
    for parameter in space:
        if sampler == "grid" and parameter.values is None:
            raise ConfigError(
                f"{parameter.name}: hydra.sweeper.sampler=grid needs values that can be listed, "
                "not an interval; give a choice or a range, or use another sampler."
            )
    if sampler == "cmaes" and all(hasattr(p.distribution, "choices") for p in space):
        raise ConfigError(
            "hydra.sweeper.sampler=cmaes: searches numbers, and this space has only choices; add "
            "an interval or a range, or use tpe."
        )


def _parameter(key: str, override: Override) -> Parameter:
    sweep: Any = override.value()
    try:
        if isinstance(sweep, IntervalSweep):
            return _interval(key, sweep)
        if isinstance(sweep, RangeSweep):
            return _range(key, sweep)
        return _choice(key, override)
    except ValueError as error:
        reason = first_line(error).rstrip(".")
        raise ConfigError(f"{override.input_line}: cannot be searched ({reason}).") from error


def _interval(key: str, sweep: IntervalSweep) -> Parameter:
    from optuna.distributions import FloatDistribution, IntDistribution

    low, high, log = sweep.start, sweep.end, "log" in sweep.tags
    assert low is not None
    assert high is not None
    whole = isinstance(low, int) and isinstance(high, int)
    distribution = (
        IntDistribution(int(low), int(high), log=log)
        if whole
        else FloatDistribution(float(low), float(high), log=log)
    )
    return Parameter(key=key, distribution=distribution)


def _range(key: str, sweep: RangeSweep) -> Parameter:
    from optuna.distributions import FloatDistribution, IntDistribution

    found: Any = sweep.range()
    numbers = found if isinstance(found, range) else list(found)
    if not numbers:
        raise ValueError("it has no numbers")
    low, high = sorted((numbers[0], numbers[-1]))
    step, log = abs(sweep.step), "log" in sweep.tags
    if log and (step != 1 or not isinstance(low, int)):
        raise ValueError("tag(log, range(…)) needs whole numbers and step 1; use interval")
    distribution = (
        IntDistribution(low, high, step=int(step), log=log)
        if isinstance(low, int)
        else FloatDistribution(low, high, step=float(step))
    )
    return Parameter(key=key, distribution=distribution, values=numbers)


def _choice(key: str, override: Override) -> Parameter:
    from optuna.distributions import CategoricalDistribution

    values: tuple[Any, ...] = tuple(dict.fromkeys(map(_category, override.sweep_iterator())))
    if not values:
        raise ValueError("it matches nothing")
    return Parameter(key=key, distribution=CategoricalDistribution(values), values=values)


def _category(element: Any) -> Value:
    """Return a number as it is, and anything else in Hydra's grammar."""
    is_number = isinstance(element, int | float)
    return element if is_number else Transformer.str(element)
