"""The words of a command line: which key does one set?"""


def key_of(override: str) -> str:
    """`precision` of `++precision=float32`: Hydra's +, ++ and ~ are no part of the key. Empty
    where there is none."""
    return override.lstrip("+~").partition("=")[0].strip()
