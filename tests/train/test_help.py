"""The help of a run lists the options that there are, those of the user's own folder, too."""

from pathlib import Path

import pytest

from harness.config.conf_folder import CONF
from harness.train.arguments import asks_for_completion, asks_for_help, help_text


def options(words: list[str]) -> dict[str, list[str]]:
    """The options of each group that the help lists."""
    _, _, rest = help_text(words).partition("changes a value in it\n\n")
    lines = rest.partition("\n\n")[0].splitlines()
    return {group: names.split(", ") for group, names in (line.split(": ") for line in lines)}


def test_every_group_has_the_options_of_its_folder() -> None:
    shipped = options(["--help"])
    folders = {path.parent for path in CONF.rglob("*.yaml")} - {CONF}
    folders -= {folder for folder in folders if "hydra" in folder.parts[len(CONF.parts) :]}
    assert set(shipped) == {folder.relative_to(CONF).as_posix() for folder in folders}
    for group, names in shipped.items():
        assert names == sorted(path.stem for path in (CONF / group).glob("*.yaml")), group


@pytest.mark.parametrize("spelling", ["--config-dir {}", "-cd {}", "--config-dir={}"])
def test_options_of_ones_own_are_listed_too(spelling: str, tmp_path: Path) -> None:
    for group in ("task", "experiment"):
        (tmp_path / group).mkdir()
    (tmp_path / "task" / "spring.yaml").touch()
    (tmp_path / "experiment" / "notebook_sum.yaml").touch()  # in place of a shipped one
    shipped, found = options([]), options([*spelling.format(tmp_path).split(), "--help"])
    assert found["task"] == sorted([*shipped["task"], "spring"])
    assert {**found, "task": shipped["task"]} == shipped


def test_a_folder_that_is_not_there_has_no_options(tmp_path: Path) -> None:
    assert options(["--config-dir", str(tmp_path / "none")]) == options([])


def test_what_asks_for_help_and_what_for_completion() -> None:
    assert asks_for_help([])
    assert asks_for_help(["-m", "task=sum", "--help"])
    assert not asks_for_help(["--hydra-help"])
    assert asks_for_completion(["-sc", "query=bash"])
    assert not asks_for_completion(["-sc", "install=bash"])
