"""The command line of `harness export`, and the formats that it knows."""

from harness.console.arguments import Parser

# Format -> the modules that writing, loading and checking it need, and what to pip install.
FORMATS: dict[str, dict[str, str]] = {
    "torch": {"torch": "torch", "safetensors": "safetensors"},
    "keras": {"keras": "keras", "tensorflow": "tensorflow"},
    "numpy": {},
    "jax": {"jax": "jax"},
    "onnx": {"onnx": "onnx", "onnxruntime": "onnxruntime"},
}

EXAMPLES = """\
  harness task=sum backend=torch             # a run to export, by its name
  harness export sum·torch·rnn·s0 --to keras
  harness export sum·torch·rnn·s0 --to onnx --out sum-onnx
"""


def parser() -> Parser:
    """Return the parser of the command line, which has its help, too."""
    command_line = Parser(
        prog="harness export",
        purpose="Write a trained network as files that a framework loads without this project.",
        examples=EXAMPLES,
    )
    add = command_line.add_argument
    add("run", metavar="RUN", help="a run's directory, or its id or name in MLflow")
    add("--to", required=True, metavar="FORMAT", choices=[*FORMATS], help=", ".join(FORMATS))
    add("--out", metavar="DIR", help="a new folder (default: RUN/export/FORMAT)")
    add("--replica", type=int, default=0, metavar="N", help="from 0 (default: 0)")
    command_line.add_places()
    return command_line
