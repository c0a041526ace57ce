"""The wheel is complete: it runs from any directory, with the `conf` that it carries."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


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


def test_it_runs_from_any_directory(installed: Path, tmp_path: Path) -> None:
    # -P keeps the current directory off the path, and
    # the wheel comes before the editable install, so that the repository cannot stand in for it.
    script = (
        "import sys; sys.path.insert(0, sys.argv.pop(1));"
        "import harness.__main__ as program;"
        "print(program.CONF); sys.exit(program.main())"
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
