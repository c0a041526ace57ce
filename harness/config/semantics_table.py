"""Print the rules of semantics as a table: their values in each preset, and the sources of these.

`python -m harness.config.semantics_table > docs/semantics.md`
"""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from harness.config.conf_folder import CONF
from harness.config.damaged_files import reading
from harness.console import streams
from harness.core.semantics import RULES, Semantics

PRESETS = ("matched", "keras", "torch", "jax")

INTRODUCTION = """# Numeric semantics

Every default in which frameworks' recurrent training differs is a field of `semantics`; every
backend obeys every value of every field. A preset is a file in `conf/semantics/`, and a single rule
is changed on the command line: `semantics=torch semantics.biases=single`.

This file is made by `python -m harness.config.semantics_table > docs/semantics.md` from
`harness/core/semantics.py`. The presets `keras`, `torch` and `jax` are held against programs
written with the framework alone in `tests/backends/test_presets.py`, their initialisers in
`tests/core/test_initializers.py`. Values in *italics* differ from `matched`.
"""

CLOSING = """
What is no field, and why:

- Learning rates and other numbers of the optimisers (`optimizer.lr`, `.momentum`, `.beta1`, …) are
  settings of their own, with one default for all backends.
- A gradient that is not finite: the frameworks spoil the weights in different ways (Keras makes all
  gradients NaN, PyTorch and optax scale the finite ones to 0), and either way the run ends with the
  next loss, which is not finite.
- Shuffling, splits and every random number are NumPy's and the same for all.
- Dropout has no counterpart between the frameworks and is left out.
"""


def preset(name: str) -> Semantics:
    """Load the semantics of a file in `conf/semantics/`."""
    return read_semantics(CONF / "semantics" / f"{name}.yaml")


def read_semantics(path: Path) -> Semantics:
    """Load the semantics of a file. Raises `ConfigError` for one that cannot be read."""
    with reading(path, "write it anew, or leave it out"):
        values: Any = OmegaConf.load(path)
        return Semantics(**values)


def table() -> str:
    """Return the whole document, in Markdown."""
    presets = [preset(name) for name in PRESETS]
    rows = [f"| rule | meaning | {' | '.join(PRESETS)} | accepted | source |"]
    rows.append("|---" * (len(PRESETS) + 4) + "|")
    for name, declared in RULES.items():
        values = [getattr(semantics, name) for semantics in presets]
        shown = [_value(v) if v == values[0] else f"*{_value(v)}*" for v in values]
        accepted = ", ".join(declared["accepted"]) or declared["within"].describe()
        cells = [f"`{name}`", declared["meaning"], *shown, accepted, declared["source"]]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join([INTRODUCTION, *rows, CLOSING])


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    streams.prepare()
    print(table(), end="")
