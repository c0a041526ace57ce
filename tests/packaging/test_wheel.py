"""The wheel is complete: it runs from any directory, with the `conf` that it carries."""

import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.support import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's contents, as pip would put them into site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_the_packages_and_the_configuration(installed: Path) -> None:
    names = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert names == {"harness", "backends", "hydra_plugins"}
    for source in (ROOT / "conf").rglob("*.yaml"):
        assert (installed / "harness" / "conf" / source.relative_to(ROOT / "conf")).exists()


def test_it_says_that_it_is_typed(installed: Path) -> None:
    # hydra_plugins is a namespace that other distributions share, so no marker can speak for it.
    assert {path.parent.name for path in installed.rglob("py.typed")} == {"harness", "backends"}
    about = PathDistribution(next(installed.glob("*.dist-info"))).metadata
    assert "Typing :: Typed" in about.get_all("Classifier", [])


def test_its_classifiers_name_the_pythons_that_it_admits(installed: Path) -> None:
    about = PathDistribution(next(installed.glob("*.dist-info"))).metadata
    pythons = SpecifierSet(about["Requires-Python"])
    admitted = {f"3.{minor}" for minor in range(8, 20) if f"3.{minor}.0" in pythons}
    listed = re.findall(r":: Python :: (3\.\d+)$", "\n".join(about.get_all("Classifier", [])), re.M)
    assert set(listed) == admitted


def test_its_metadata_admit_what_is_known_to_work(installed: Path) -> None:
    [found] = installed.glob("*.dist-info")
    about = PathDistribution(found)
    pythons = SpecifierSet(about.metadata["Requires-Python"])
    admitted = [minor for minor in range(8, 20) if f"3.{minor}.0" in pythons]
    assert admitted == [11, 12, 13], "TensorFlow 2.21 has no wheel for Python 3.14"
    needed = {each.name: each.specifier for each in map(Requirement, about.requires or [])}
    assert "1.3.8" in needed["hydra-core"]
    assert "1.4.0" not in needed["hydra-core"]


def test_every_requirement_is_pinned_once_on_every_python(installed: Path) -> None:
    pins = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines()]
    [found] = installed.glob("*.dist-info")
    for python in ("3.11", "3.12", "3.13"):
        here = [pin for pin in pins if not pin.marker or pin.marker.evaluate(on(python))]
        versions = {canonicalize_name(pin.name): str(pin.specifier)[2:] for pin in here}
        assert len(versions) == len(here)
        assert all(versions.values())
        for needed in map(Requirement, PathDistribution(found).requires or []):
            name = canonicalize_name(needed.name)
            assert name in ("rnn-harness", *versions), f"{needed} has no pin"
            assert needed.specifier.contains(versions.get(name, "0")), needed


def on(python: str) -> dict[str, str]:
    return {"python_version": python, "python_full_version": f"{python}.0"}


def test_it_runs_from_any_directory(installed: Path, tmp_path: Path) -> None:
    # -P keeps the current directory off the path, and
    # the wheel comes before the editable install, so that the repository cannot stand in for it.
    script = (
        "import sys; sys.path.insert(0, sys.argv.pop(1));"
        "from harness.__main__ import main; from harness.config.conf_folder import CONF;"
        "print(CONF); sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, str(installed), "trainer.epochs=1"],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == str(installed / "harness" / "conf")
    assert (tmp_path / "results" / "mlflow.db").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"results"}
