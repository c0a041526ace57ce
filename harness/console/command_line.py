"""Quote printed commands so that they can be pasted into a shell and are read by Hydra as meant.

`shell_line` makes every command that is shown or recorded. `override` and `option` make every value
in it that may be any text (a path, a name).
"""

import re
import shlex
from collections.abc import Iterable

# Text that Hydra reads as text without quotes. Numbers and words such as true are not.
PLAIN = re.compile(r"(?!(?:true|false|null|nan|inf)\Z)(?:[a-z_/]|\.(?!\d))[\w./-]*", re.I | re.A)


def python(module: str, words: Iterable[str]) -> str:
    """Return the command that runs `module` with the arguments `words`."""
    return shell_line(["python", "-m", module, *words])


def shell_line(words: Iterable[str]) -> str:
    """Return the words as a line to paste into a shell."""
    return " ".join(map(shell_word, words))


def shell_word(word: str) -> str:
    """Return a word in the quotes that a shell needs.

    They are double quotes if the word has single ones, as Hydra's grammar does, and no character
    that a shell would expand inside double quotes.
    """
    if "'" in word and not set(word) & set('"$`\\!'):
        return f'"{word}"'
    return shlex.quote(word)


def counted(number: int, name: str) -> str:
    """Return `1 run` or `2 runs`, for a name with or without its plural s."""
    name = name.removesuffix("s")
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s"


def override(key: str, value: str) -> str:
    """Return `KEY=VALUE` such that Hydra reads exactly the text `value`."""
    return f"{key}={literal(value)}"


def option(name: str, value: str) -> list[str]:
    """Return an option and its value as words; a value that begins with - is joined by =."""
    return [f"{name}={value}"] if value.startswith("-") else [name, value]


def literal(text: str) -> str:
    """Return a text in Hydra's grammar, in quotes if it needs them."""
    if PLAIN.fullmatch(text):
        return text
    # OmegaConf interpolates ${…} in any text unless a backslash escapes it.
    return quoted(re.sub(r"(\\*)\$\{", r"\1\1\\${", text))


def quoted(text: str) -> str:
    """Return a text in single quotes; a ${…} in it is still interpolated."""
    inside = re.sub(r"(\\*)'", r"\1\1\\'", text)
    return "'" + re.sub(r"(\\+)\Z", r"\1\1", inside) + "'"
