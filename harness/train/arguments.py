"""The help of a run and of a sweep, and the shell's question for what may be typed.

Hydra would compose a configuration before it prints its help, which takes half a second.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from harness.config.conf_folder import CONF
from harness.console.commands import COMMANDS

HELP = ("-h", "--help")
COMPLETE = ("-sc", "--shell-completion")
QUERIES = ("query=bash", "query=zsh", "query=fish")
OWN_FOLDER = ("-cd", "--config-dir")

TEXT = """\
Train one recurrent network in several frameworks under stated numeric rules.

usage: harness [KEY=VALUE ...]                a run
       harness -m [KEY=VALUE,VALUE,... ...]   a sweep over all combinations
       harness COMMAND [--help]

commands:
{commands}

groups: GROUP=OPTION chooses a file, GROUP.KEY=VALUE changes a value in it

{groups}

keys:
  seed=0 replicas=1 precision=float32 device=auto threads=auto results=results
  resume=RUN [checkpoint=NAME] goes on with a run, -m sweep.resume=last a sweep

options:
  -m, --multirun     a sweep
  --cfg job          show every key with its value, and run nothing
  --config-dir DIR   your own task/, experiment/ ... files as well
  -sc install=bash   completion: eval "$(harness -sc install=bash)"
  --hydra-help       Hydra's other options

examples:
  harness task=sum backend=torch
  harness task=binary backend=keras model=lstm model.units=64 optimizer.lr=0.01
  harness -m task=sum backend=numpy,torch,keras,jax seed=0,1
"""


def asks_for_help(words: Sequence[str]) -> bool:
    """Return whether the words of a run or a sweep ask for its help; none at all do, too."""
    return not words or any(word in HELP for word in words)


def asks_for_completion(words: Sequence[str]) -> bool:
    """Return whether the words are a shell's question, and no command to run."""
    return len(words) == 2 and words[0] in COMPLETE and words[1] in QUERIES


def help_text(words: Sequence[str]) -> str:
    """Return the help; it lists the options in the user's own folder, too, if `words` name it."""
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}   {about}" for name, about in COMMANDS.items())
    own = [Path(after) for word, after in pairwise(words) if word in OWN_FOLDER]
    own += [Path(word.partition("=")[2]) for word in words if word.startswith("--config-dir=")]
    groups = "\n".join(
        f"{group}: {', '.join(sorted(options))}" for group, options in _groups([CONF, *own]).items()
    )
    return TEXT.format(commands=commands, groups=groups)


def _groups(folders: Iterable[Path]) -> dict[str, set[str]]:
    """Return the options of each group but Hydra's own, by its path, such as `task/notebook`."""
    groups: dict[str, set[str]] = {}
    for folder in folders:
        for file in folder.glob("*/**/*.yaml"):
            group = file.parent.relative_to(folder)
            if group.parts[0] != "hydra":
                groups.setdefault(group.as_posix(), set()).add(file.stem)
    return dict(sorted(groups.items()))
