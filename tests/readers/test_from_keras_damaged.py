"""`from_keras`: a file that is damaged, or meant to harm, gives one line and takes no memory."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from harness.core.errors import ConfigError
from harness.core.tolerances import LIMITS
from harness.formats.reference import distance, reference
from harness.readers.foreign_network import Stated
from harness.readers.keras_files.from_keras import read
from tests.support.keras_files import save, sequential

pytestmark = [
    pytest.mark.slow,
    # Keras 3.15 on TensorFlow reads its variables in a way that NumPy 2 has deprecated.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
]
STATED = Stated(returns="last", outputs="values")
KERNEL = "layers/lstm/cell/vars/0"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the two files of one network."""
    import keras

    folder = tmp_path_factory.mktemp("keras")
    model = sequential([keras.layers.LSTM(4), keras.layers.Dense(1)])
    for name in ("m.keras", "m.weights.h5"):
        read(save(model, folder / name), STATED if name.endswith("h5") else Stated())
    return folder


def message(path: Path) -> str:
    with pytest.raises(ConfigError) as error:
        read(path, STATED if path.suffix == ".h5" else Stated())
    [line] = str(error.value).splitlines()
    return line.replace(str(path), "FILE")


def message_or_none(path: Path) -> str | None:
    """The message with which a file is refused, if it is: altered numbers may be sound."""
    try:
        read(path, STATED if path.suffix == ".h5" else Stated())
    except ConfigError as error:
        return str(error)
    return None


def damaged(reason: str) -> str:
    return f"FILE: is damaged ({reason}); copy or save it anew."


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path: Path, members: dict[str, bytes], packed: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", packed) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def changed(sound: Path, path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The archive with a change to its config."""
    members = contents(sound / "m.keras")
    config = json.loads(members["config.json"])
    change(config)
    return write(path, members | {"config.json": json.dumps(config).encode()})


NEITHER = (
    "FILE: is neither a .keras archive nor an .h5 file, or broke off; give one that Keras "
    "saved by model.save or model.save_weights."
)


def test_what_is_no_file_of_keras(sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    assert message(path) == "FILE: cannot be read (No such file or directory)."
    assert message(tmp_path) == "FILE: cannot be read (Is a directory)."
    path.write_bytes(b"")
    assert message(path) == NEITHER
    path.write_bytes(b"\x80\x04\x95 a pickle")
    assert message(path) == NEITHER
    path.write_bytes((sound / "m.keras").read_bytes()[:-100])
    assert message(path) == NEITHER


def test_files_cut_off_or_altered_anywhere(sound: Path, tmp_path: Path) -> None:
    for name in ("m.keras", "m.weights.h5"):
        path, whole = tmp_path / name, (sound / name).read_bytes()
        for cut in range(0, len(whole), len(whole) // 40):
            path.write_bytes(whole[:cut])
            assert message(path).startswith("FILE: is ")
        rng = np.random.default_rng(0)
        for _ in range(100):
            content = np.frombuffer(whole, np.uint8).copy()
            content[rng.integers(len(content), size=20)] = rng.integers(256, size=20)
            path.write_bytes(content.tobytes())
            lines = message_or_none(path)
            assert lines is None or len(lines.splitlines()) == 1


def test_archives_that_lack_or_swell(sound: Path, tmp_path: Path) -> None:
    path, members = tmp_path / "m.keras", contents(sound / "m.keras")
    for name in members:
        rest = {kept: content for kept, content in members.items() if kept != name}
        assert message(write(path, rest)) == damaged(f"it has no {name}")
    write(path, members | {"config.json": b" " * 20_000_000})
    assert message(path) == damaged("config.json of 20,000,000 bytes")
    write(path, members | {"model.weights.h5": bytes(30_000_000)}, zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(path) as archive:
        packed = archive.getinfo("model.weights.h5").compress_size
    assert message(path) == damaged(f"model.weights.h5 of 30,000,000 bytes is packed in {packed:,}")
    write(path, members, zipfile.ZIP_LZMA)
    assert message(path) == damaged("metadata.json is packed in a way that Keras does not use")
    write(path, members | {"config.json": b"[" * 100_000})
    assert message(path) == damaged("nested too deep")
    deep = b'{"class_name": ' * 10_000 + b"0" + b"}" * 10_000
    write(path, members | {"config.json": deep})
    assert message(path) == damaged("nested too deep")
    write(path, members | {"config.json": b"[]"})
    assert message(path).startswith("FILE: is damaged (")
    write(path, members | {"metadata.json": b'{"keras_version": "2.15.0"}'})
    assert message(path) == (
        "FILE: is of Keras 2, whose archives are not read; save its arrays there by "
        "model.save_weights('NAME.h5')."
    )


def test_a_config_that_would_run_code(sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    evil = {"class_name": "function", "module": "os", "config": "system", "registered_name": None}
    own = "which is no layer or function of Keras' own, or runs code; save the arrays alone by "
    own += "model.save_weights('NAME.weights.h5')."

    def hide(config: dict[str, Any]) -> None:
        config["config"]["layers"][2]["config"]["kernel_initializer"] = {"a": [evil]}

    assert message(changed(sound, path, hide)) == f"FILE: needs 'system', {own}"
    for module, kind in (
        ("keras.layers", "TFSMLayer"),
        ("keras.layers", "TorchModuleWrapper"),
        ("keras.utils", "get_file"),
        ("__main__", "Mine"),
    ):
        evil |= {"module": module, "class_name": kind}
        assert message(changed(sound, path, hide)) == f"FILE: needs {kind!r}, {own}"


def test_a_config_that_is_not_of_its_arrays(sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.keras"

    def as_gru(config: dict[str, Any]) -> None:
        lstm = config["config"]["layers"][1]
        lstm["class_name"] = "GRU"
        lstm["config"]["reset_after"] = True

    def newline(config: dict[str, Any]) -> None:
        config["config"]["layers"][1]["config"]["name"] = "a\nb"

    def words(config: dict[str, Any]) -> None:
        config["config"]["layers"] = "many"

    reason = "layers/gru/cell lacks the arrays of a recurrent layer"
    assert message(changed(sound, path, as_gru)) == damaged(reason)
    reason = "a layer is called 'a\\nb', of class 'LSTM'"
    assert message(changed(sound, path, newline)) == damaged(reason)
    reason = "string indices must be integers, not 'str'"
    assert message(changed(sound, path, words)) == damaged(reason)


def with_array(sound: Path, path: Path, place: Callable[[Any], None]) -> Path:
    """The file of arrays with another kernel, which `place` puts into the layer's group."""
    shutil.copy(sound / "m.weights.h5", path)
    with h5py.File(path, "r+") as file:
        del file[KERNEL]
        place(file)
    return path


def test_arrays_that_are_not_there(sound: Path, tmp_path: Path) -> None:
    path, other = tmp_path / "m.weights.h5", str(sound / "m.weights.h5")

    def link(file: Any) -> None:
        file[KERNEL] = h5py.ExternalLink(other, KERNEL)

    def soft(file: Any) -> None:
        file[KERNEL] = h5py.SoftLink("/layers/lstm/cell/vars/1")

    def virtual(file: Any) -> None:
        layout = h5py.VirtualLayout((3, 16), "f4")
        layout[:] = h5py.VirtualSource(other, KERNEL, (3, 16))
        file.create_virtual_dataset(KERNEL, layout)

    def outside(file: Any) -> None:
        where = [("/etc/passwd", 0, 192)]
        file.create_dataset(KERNEL, (3, 16), "f4", external=where)

    def references(file: Any) -> None:
        file.create_dataset(KERNEL, (3, 16), h5py.ref_dtype)

    def huge(file: Any) -> None:
        file.create_dataset(KERNEL, (1 << 40, 16), "f4")

    def packed(file: Any) -> None:
        file.create_dataset(KERNEL, data=np.zeros((30000, 16), "f4"), compression="gzip")

    def nan(file: Any) -> None:
        file[KERNEL] = np.full((3, 16), np.nan, "f4")

    def whole(file: Any) -> None:
        file[KERNEL] = np.ones((3, 16), "i8")

    def again(file: Any) -> None:
        file["layers/lstm/again"] = file["layers"]

    for place, reason in (
        (link, f"{KERNEL} is a link to another place or file"),
        (soft, f"{KERNEL} is a link to another place or file"),
        (virtual, f"{KERNEL} has its numbers in another file or dataset"),
        (outside, f"{KERNEL} has its numbers in another file or dataset"),
        (references, f"{KERNEL} holds object and no real numbers"),
        (huge, f"{KERNEL} declares {(1 << 46):,} bytes and holds 0"),
        (nan, f"{KERNEL} has values that are not finite"),
        (whole, f"{KERNEL} holds int64 and no real numbers"),
        (again, "layers/lstm/again is in it twice"),
    ):
        assert message(with_array(sound, path, place)) == damaged(reason), place
    assert message(with_array(sound, path, packed)).startswith(
        f"FILE: is damaged ({KERNEL} declares 1,920,000 bytes and holds "
    )


def test_a_name_in_the_file_does_not_become_code(sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.weights.h5"
    shutil.copy(sound / "m.weights.h5", path)
    with h5py.File(path, "r+") as file:
        file.move("layers/lstm", "layers/\"']; raise SystemExit #")
    found = read(path, STATED)
    names: dict[str, Any] = {"x": np.ones((2, 3, 3), "float32")}
    exec(found.usage, names)
    expected = reference(found.network, names["x"])
    assert distance(found.network, names["y"], expected) <= LIMITS["float32"].forward
