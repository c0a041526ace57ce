"""Tables of numbers as text, for reports and terminals."""

import math

import numpy as np
import pandas as pd


def formatted(table: pd.DataFrame, digits: int = 6) -> pd.DataFrame:
    """Return every cell as text: `digits` significant digits, gaps two, missing values empty."""
    text = {
        name: [_cell(value, 2 if "gap" in str(name) else digits) for value in table[name]]
        for name in table.columns
    }
    return pd.DataFrame(text, columns=table.columns)


def _cell(value: object, digits: int) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def markdown_table(table: pd.DataFrame) -> str:
    """Return a table in Markdown."""
    rows = [list(table.columns), ["---"] * len(table.columns), *formatted(table).values.tolist()]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)
