"""What a search has found: its best trial or Pareto front, importances, how trials ended."""

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.config.tracking_store import without_secrets
from harness.console.command_line import counted, shell_line
from harness.console.terminal import say
from harness.search.settings import Search
from harness.search.trials import COMMAND

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

ENOUGH = 20  # finished trials, below which importances would be noise
FRONT = 10  # trials of a Pareto front that are shown


def show_search(study: "Study", search: Search, console: Console) -> None:
    """Print the summary of a search."""
    console.print(f"\n[bold]search[/bold] {escape(study.study_name)}: {_ends(study)}")
    if len(search.objectives) > 1:
        _show_front(study, search, console)
    else:
        _show_best(study, search, console)
    weights = importances(study)
    if weights:
        shown = ", ".join(f"{name} {value:.2f}" for name, value in weights.items())
        say(f"  importance  {shown}", console)
    place = without_secrets(search.storage or "")
    say(f"  dashboard   {shell_line(['optuna-dashboard', place])}", console)


def headline(study: "Study", search: Search) -> str:
    """Return in one line how the trials ended and which is best."""
    if len(search.objectives) > 1:
        return f"{_ends(study)}; {counted(len(study.best_trials), 'trials')} on the Pareto front"
    best = best_trial(study)
    if best is None:
        return _ends(study)
    return f"{_ends(study)}; best: trial {best.number}, {_value(search, best)}"


def best_trial(study: "Study") -> "FrozenTrial | None":
    """Return the best finished trial of one objective; None where none has finished."""
    try:
        return study.best_trial
    except ValueError:
        return None


def importances(study: "Study") -> dict[str, float]:
    """Return the importance of each parameter by PED-ANOVA, the largest first.

    Empty for several objectives, for one parameter, and where too few trials have finished.
    """
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    finished = trials_in(study, "COMPLETE")
    several = len(study.directions) > 1
    if several or len(finished) < ENOUGH or len({t.values[0] for t in finished}) == 1:
        return {}
    found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return found if len(found) > 1 else {}


def _ends(study: "Study") -> str:
    parts = [f"{counted(len(trials_in(study, 'COMPLETE')), 'trials')} finished"]
    for state, word in (("PRUNED", "pruned"), ("FAIL", "failed"), ("RUNNING", "not finished")):
        count = len(trials_in(study, state))
        parts += [f"{count} {word}"] if count else []
    return ", ".join(parts)


def trials_in(study: "Study", state: str) -> "list[FrozenTrial]":
    """Return the trials in a state, such as COMPLETE or PRUNED."""
    return [t for t in study.get_trials(deepcopy=False) if t.state.name == state]


def _show_best(study: "Study", search: Search, console: Console) -> None:
    best = best_trial(study)
    if best is None:
        return
    say(f"  best        trial {best.number}: {_value(search, best)}, {_settings(best)}", console)
    say(f"  train it    {best.user_attrs.get(COMMAND, '')}", console)


def _show_front(study: "Study", search: Search, console: Console) -> None:
    """Print the trials that no other is better than in every objective."""
    front = sorted(study.best_trials, key=lambda trial: trial.values)
    title = f"Pareto front of {counted(len(front), 'trials')}"
    table = Table("trial", *search.objectives, "settings", title=title, title_justify="left")
    for trial in front[:FRONT]:
        numbers = [f"{value:.6g}" for value in trial.values]
        table.add_row(str(trial.number), *numbers, escape(_settings(trial)))
    console.print(table)
    for trial in front[:FRONT]:
        say(f"  trial {trial.number:<6}{trial.user_attrs.get(COMMAND, '')}", console)


def _value(search: Search, trial: "FrozenTrial") -> str:
    return f"{search.objectives[0]} {trial.values[0]:.6g}"


def _settings(trial: "FrozenTrial") -> str:
    return " ".join(f"{name}={_short(value)}" for name, value in trial.params.items())


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
