"""NumPy: `harness.runs.numpy_model`, which a run with `tracking.model=true` writes, too."""

from harness.runs.numpy_model import (
    USAGE,
    forward_lines,
    indented,
    predict_lines,
    save,
    write,
)

__all__ = ["USAGE", "forward_lines", "indented", "predict_lines", "save", "write"]
