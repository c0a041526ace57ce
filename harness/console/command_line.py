"""Commands that are printed can be pasted: into a shell, and for Hydra behind it.

Every command that is shown or recorded is made by `shell_line`, and every value in it that may be
any text (a path, a name) by `override` or `option`.
"""

import re
import shlex
from collections.abc import Iterable

# What Hydra reads as the text that it is, without quotes; a number or a word such as true is none.
PLAIN = re.compile(r"(?!(?:true|false|null|nan|inf)\Z)(?:[a-z_/]|\.(?!\d))[\w./-]*", re.I | re.A)


def python(module: str, words: Iterable[str]) -> str:
    """The command that runs a module with these arguments."""
    return shell_line(["python", "-m", module, *words])


def shell_line(words: Iterable[str]) -> str:
    """The words as a line to paste into a shell."""
    return " ".join(map(shell_word, words))


def shell_word(word: str) -> str:
    """A word in the quotes that it needs: double ones where it holds single ones, as Hydra's own
    are, and nothing that a shell would read inside double ones."""
    if "'" in word and not set(word) & set('"$`\\!'):
        return f'"{word}"'
    return shlex.quote(word)


def override(key: str, value: str) -> str:
    """`KEY=VALUE` for Hydra, which reads back exactly the text `value`."""
    return f"{key}={literal(value)}"


def option(name: str, value: str) -> list[str]:
    """An option and its value, which may begin as an option does."""
    return [f"{name}={value}"] if value.startswith("-") else [name, value]


def literal(text: str) -> str:
    """A text as Hydra's grammar writes it, in quotes if need be."""
    if PLAIN.fullmatch(text):
        return text
    # OmegaConf reads ${…} in any text, and backslashes in front of it.
    return quoted(re.sub(r"(\\*)\$\{", r"\1\1\\${", text))


def quoted(text: str) -> str:
    """A text in single quotes, in which ${…} keeps its meaning."""
    inside = re.sub(r"(\\*)'", r"\1\1\\'", text)
    return "'" + re.sub(r"(\\+)\Z", r"\1\1", inside) + "'"
