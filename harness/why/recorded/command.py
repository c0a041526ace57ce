"""`harness why RECORDING_A RECORDING_B`: why two programs of the user's own trained differently."""

import argparse
from datetime import datetime
from pathlib import Path

import numpy as np
from rich.console import Console

from harness.config.semantics_table import read_semantics
from harness.console.command_line import python, shell_word
from harness.console.terminal import console, say
from harness.core.errors import ConfigError, check_range
from harness.identify.answer import name_of
from harness.identify.identified import Identified, identified
from harness.identify.report import none_fits
from harness.recorder.recording import FACTS, UNFINISHED, read_recording
from harness.runs.folders import new_folder
from harness.why.recorded.gap import find_gap
from harness.why.recorded.inputs import differing_inputs
from harness.why.recorded.settings import sides
from harness.why.shapley import design


def is_recording(word: str) -> bool:
    """Return whether a word names the folder of a recording."""
    return any((Path(word) / name).is_file() for name in (FACTS, UNFINISHED))


def explain_recordings(options: argparse.Namespace, words: list[str]) -> int:
    """Answer, and return the exit code: 0, or 1 where no rules of a recording are known.

    Raises `ConfigError`, and `Diverged` where a training in between does.
    """
    check_range("--seed", options.seed, 0)
    names = [word for word in options.words if is_recording(word)]
    if len(names) != 2 or len(options.words) != 2:
        raise ConfigError(f"{' '.join(options.words)}: name two recordings, and no settings.")
    screen, folders = console(), [Path(name) for name in names]
    found: list[Identified] = []
    for side, folder in zip("AB", folders, strict=True):
        say(f"{side}: {folder}", screen)
        found.append(_identified(folder, options.config_dir, screen))
        if not found[-1].found.fits:
            for line in none_fits(found[-1]):
                say(line, screen)
            return 1
    _explain(found[0], found[1], options, python("harness.why", words), screen)
    return 0


def _identified(folder: Path, config_dir: Path | None, screen: Console) -> Identified:
    """Find a recording's rules, beginning with those that `harness identify` wrote of it."""
    recording, known = read_recording(folder), None
    if config_dir is not None:
        path = config_dir / "semantics" / f"{name_of(folder, None)}.yaml"
        known = read_semantics(path) if path.is_file() else None
        say(f"{path}: {'tried first' if known else 'is not there, so all is searched'}.", screen)
    return identified(folder, recording, lambda line: say(line, screen), known=known)


def _explain(
    a: Identified, b: Identified, options: argparse.Namespace, command: str, screen: Console
) -> None:
    from harness.why.recorded import report  # late, since pandas takes a second to import

    inputs = differing_inputs(a.whole, b.whole)
    screen.print()
    say(report.inputs_line(inputs), screen)
    compared = sides(a, b)
    n = len(compared.players)
    chosen = design(n, options.evaluations, np.random.default_rng(options.seed))
    if n:
        say(report.price(compared, chosen), screen)
    gap = find_gap(compared, b.whole.losses, chosen)
    for line in report.sentences(compared, gap, inputs):
        say(line, screen)
    if not n:
        return
    screen.print(report.terminal_table(compared, gap))
    for line in report.footnotes(compared, gap, inputs):
        say(line, screen)
    results = Path("results") if options.results is None else options.results
    folder = results / "why" / datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    with new_folder(folder):
        report.write(folder, compared, gap, inputs, command)
    say(f"\n  report   {shell_word(str(folder))}", screen)
