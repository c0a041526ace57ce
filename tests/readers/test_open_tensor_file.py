"""Files of arrays: which format, whose names, and how little a hostile one can do."""

import io
import pickle
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from harness.core.errors import ConfigError
from harness.readers.tensor_files.open_file import framework, open_file


def read_all(path: Path) -> None:
    file = open_file(path)
    framework(file)
    for name in file.types:
        file.array(name, "float32")


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as error:
        read_all(path)
    [line] = str(error.value).splitlines()
    return line.replace(f"{path}", "FILE")


@pytest.mark.parametrize(
    ("names", "whose"),
    [
        (["encoder.rnn.weight_ih_l0", "head.kernel"], "torch"),
        (["weight_hh_l0"], "torch"),
        (["cells.0.weight_hh"], "torch"),
        (["rnn.0.kernel", "rnn.0.recurrent_kernel", "head.kernel"], "numpy"),
        (["rnn.0.W", "rnn.0.U"], "numpy"),
        (["params/LSTMCell_0/hf/kernel"], "jax"),
        (["layers.0.cell.dense_h.kernel"], "jax"),
    ],
)
def test_names_say_whose_file_it_is(tmp_path: Path, names: list[str], whose: str) -> None:
    values = {name: np.ones(2, np.float32) for name in names}
    save_file(values, tmp_path / "a")
    arrays: Any = values
    with (tmp_path / "b").open("wb") as file:
        np.savez(file, **arrays)
    torch.save({name: torch.ones(2) for name in names}, tmp_path / "c")
    for path, kind in (("a", "safetensors"), ("b", "npz"), ("c", "torch")):
        found = open_file(tmp_path / path)
        assert found.format == kind
        assert framework(found) == whose
        assert found.types == dict.fromkeys(names, ("float32", (2,)))
        assert found.array(names[0], "float64").tolist() == [1, 1]


def test_what_is_no_file_of_weights(tmp_path: Path) -> None:
    path = tmp_path / "model"
    assert refusal(path) == (
        "FILE: cannot be read (No such file or directory); name a file of weights."
    )
    assert refusal(tmp_path).endswith("cannot be read (Is a directory); name a file of weights.")
    save_file({"a": np.ones(3, np.float32), "b": np.ones(3)}, path)
    assert refusal(path) == (
        "FILE: has no recurrent layer by the names of PyTorch, flax or this project; it has a, b."
    )
    no_arrays = (
        "FILE: has no arrays that can be read here; it must be .safetensors, .npz, a state_dict of "
        "torch.save, or flax' msgpack."
    )
    save_file({}, path)
    assert refusal(path) == no_arrays
    path.write_text("hello, world")
    assert refusal(path) == no_arrays
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    assert refusal(path) == no_arrays
    path.write_bytes(pickle.dumps({"rnn.weight_hh_l0": [1.0]}))
    assert refusal(path).startswith("FILE: is a pickle, and nothing is unpickled here; save")
    with path.open("wb") as file:
        np.save(file, np.ones(3))
    assert refusal(path).startswith("FILE: holds arrays without names, as numpy.save and equinox")
    path.write_bytes((10 * 2**30).to_bytes(8, "little") + b"{" + b" " * 100)
    assert refusal(path).startswith("FILE: cannot be read (")


def npy(shape: tuple[int, ...], kind: str = "<f4") -> bytes:
    """The header of an array, without its values."""
    file = io.BytesIO()
    header = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


def test_headers_that_claim_much_take_no_memory(tmp_path: Path) -> None:
    path, name = tmp_path / "model.npz", "rnn.0.U.npy"
    tracemalloc.start()
    for content, why in (
        (
            npy((10**6, 10**6)),
            "rnn.0.U.npy has 0 bytes of float32 and the shape (1000000, 1000000)",
        ),
        (npy((-1, 2)), "rnn.0.U.npy has 0 bytes"),
        (npy((3,), "|O"), "rnn.0.U is object; it must be float16, bfloat16, float32, float64"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "is not of the version 1.0 of NumPy's format"),
        (b"no array", "cannot be read ("),
        (npy((3,))[:-30], "cannot be read ("),
    ):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content)
        assert why in refusal(path), refusal(path)
    assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    tracemalloc.stop()


def test_an_array_that_unpacks_beyond_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.npz"
    arrays: Any = {"rnn.0.U": np.zeros((500, 500), np.float32)}
    np.savez_compressed(path, **arrays)
    assert path.stat().st_size < 5000
    assert open_file(path).types == {"rnn.0.U": ("float32", (500, 500))}
    monkeypatch.setattr("harness.system.npz_header.physical_memory", lambda: 900_000)
    assert refusal(path) == (
        "FILE: cannot be read (rnn.0.U.npy unpacks to more than this machine's memory); write it "
        "anew, or choose another file."
    )


def test_a_compressed_archive_of_pytorch_is_refused(tmp_path: Path) -> None:
    torch.save({"weight_hh_l0": torch.ones(3)}, tmp_path / "whole.pt")
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(tmp_path / "whole.pt") as whole:
        contents = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    assert refusal(path).startswith("FILE: is compressed, which PyTorch's files are not")


def test_a_pickle_inside_an_archive_runs_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "model.pt"
    torch.save({"weight_hh_l0": Evil()}, path)
    assert refusal(path).startswith("FILE: holds Python objects, and nothing is unpickled here")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weight_hh_l0.npy", npy((1,), "|O") + pickle.dumps([Evil()]))
    assert refusal(path).startswith("FILE: weight_hh_l0 is object")
    assert not (tmp_path / "ran").exists()
