"""Code that uses an ONNX file by ONNX Runtime, or by the ONNX project's reference evaluator."""

from harness.readers.onnx_files.file import OnnxFile
from harness.readers.onnx_files.signal import STEPS, Signal

RUNTIME = """\
import onnxruntime

session = onnxruntime.InferenceSession({model}, providers=["CPUExecutionProvider"])
[y] = session.run([{output!r}], {feeds})
"""
REFERENCE = """\
from onnx.reference import ReferenceEvaluator
{relu}
[y] = ReferenceEvaluator({model}{new_ops}).run([{output!r}], {feeds})
"""
LOAD = """\
import onnx

model = onnx.load({path!r})
graph = model.graph
"""
# ONNX Runtime gives no value that is not an output.
INNER = """\
graph.output.append(onnx.helper.make_empty_tensor_value_info({output!r}))
"""
# ONNX Runtime has no recurrent operators of float16.
HALF = """\
half, single = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
attributes = [attribute for node in graph.node for attribute in node.attribute]
for tensor in [*graph.initializer, *(attribute.t for attribute in attributes)]:
    if tensor.data_type == half:
        value = onnx.numpy_helper.to_array(tensor).astype("float32")
        tensor.CopyFrom(onnx.numpy_helper.from_array(value, tensor.name))
for attribute in attributes:
    if attribute.name == "to" and attribute.i == half:
        attribute.i = single
for info in [*graph.input, *graph.output, *graph.value_info]:
    if info.type.tensor_type.elem_type == half:
        info.type.tensor_type.elem_type = single
"""
# The reference evaluator's RNN has tanh alone.
RELU = """\
import numpy as np
from onnx.reference.ops.op_rnn import RNN_14


class RNN(RNN_14):
    def choose_act(self, name, alpha, beta):
        return lambda x: np.maximum(x, 0)


"""


def usage(file: OnnxFile, signal: Signal, inner: str, output: str) -> str:
    """Return the code for the value `output`; `inner` is its name if it is no output of the file.

    It computes `y` from `x` `(N, T, F)`.
    """
    by, path = signal.by, str(file.path.absolute())
    [info] = [i for i in file.inputs if i.name == by.input]
    double = info.type.tensor_type.elem_type == 11  # TensorProto.DOUBLE
    turned = "x.transpose(1, 0, 2)" if by.time_axis == 0 else "x"
    feeds = f'{{{by.input!r}: {turned}.astype("{"float64" if double else "float32"}")}}'
    kinds = {layer.weights[0].dtype.name for layer in by.layers}
    edits = (HALF if "float16" in by.types else "") + (INNER if inner else "")
    in_runtime = "float64" not in kinds and not any(layer.batch_first for layer in by.layers)
    words = {"path": path, "output": output, "feeds": feeds}
    code = (LOAD + edits).format(**words) if edits else ""
    if in_runtime:
        model = "model.SerializeToString()" if edits else repr(path)
        code += RUNTIME.format(model=model, **words)
    else:
        relu = RELU if by.layers[0].activation == "relu" else ""
        words |= {"relu": relu, "new_ops": ", new_ops=[RNN]" if relu else ""}
        code += REFERENCE.format(model="model" if edits else repr(path), **words)
    return code + _to_canonical_axes(signal)


def _to_canonical_axes(signal: Signal) -> str:
    """Return the lines that turn `y` into `(N, O)` or `(N, T, O)`."""
    names = [axis[0][0] if axis else "" for axis in signal.axes]
    empty = tuple(n for n, name in enumerate(names) if not name)
    names = [name for name in names if name]
    lines = [f"y = y.squeeze({empty})"] if empty else []
    if STEPS in names and names.index(STEPS) < names.index("batch"):
        lines.append("y = y.swapaxes(0, 1)")
    if names[-1] in ("batch", STEPS):  # the axis of the only output was dropped
        lines.append("y = y[..., None]")
    return "".join(f"{line}\n" for line in lines)
