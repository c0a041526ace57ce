"""The commands on README's and docs' pages work as they stand there.

A block of bash is pasted into a shell, in the order of the page and in one folder, with tiny
settings where it leaves them open (`tests/support/shell.py`). One that cannot run has its reason in
a comment before it: `<!-- not run: REASON -->`. A block of Python or YAML that begins with the
name of a file, as `# mine.py`, is that file.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.program import with_database
from tests.support.shell import paste

PAGES = ["README.md", "docs/own.md", "docs/search.md", "docs/sweeps.md"]
PAGES += sorted(f"docs/commands/{path.name}" for path in (ROOT / "docs/commands").iterdir())
PROSE = [*PAGES, "CONTRIBUTING.md"]
NAMES = ("architecture", "porting", "recording", "reliability", "scale", "semantics", "speed")
PROSE += [f"docs/{name}.md" for name in NAMES]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
FILE = re.compile(r"# ([\w./]+)\n")
REASON = re.compile(r"<!-- not run: (.+) -->\n\Z")


@dataclass(frozen=True)
class Block:
    """Lines of bash, and why they are not run, if they are not."""

    script: str
    reason: str | None


def blocks(page: str) -> list[Block]:
    found = []
    for fence in FENCE.finditer(page):
        if fence[1] == "bash":
            reason = REASON.search(page[: fence.start()])
            found.append(Block(fence[2], reason and reason[1]))
    return found


def run_page(page: str, folder: Path) -> None:
    for language, text in FENCE.findall(page):
        if language in ("python", "yaml") and (name := FILE.match(text)):
            (folder / name[1]).parent.mkdir(parents=True, exist_ok=True)
            (folder / name[1]).write_text(text)
    for block in blocks(page):
        if block.reason is None:
            done = paste(block.script, folder)
            assert done.code == 0, f"{block.script}{done.err}"


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_of_a_page_work(name: str, tmp_path: Path) -> None:
    run_page((ROOT / name).read_text(), with_database(tmp_path / "here"))


@pytest.mark.parametrize(
    "wrong",
    ["harness task=summ", "harness compre", "harness vectors out --without-onnx", "hraness"],
)
def test_a_wrong_command_shows(wrong: str, tmp_path: Path) -> None:
    page = f"<!-- not run: it has a reason -->\n```bash\nfalse\n```\n\n```bash\n{wrong}\n```\n"
    with pytest.raises(AssertionError, match=re.escape(wrong)):
        run_page(page, tmp_path)


@pytest.mark.parametrize("name", PAGES)
def test_no_command_stands_outside_a_block_that_is_run(name: str) -> None:
    outside = FENCE.sub("", (ROOT / name).read_text())
    assert not re.search(r"^\s+(\$ )?(harness|make|pip|python|mlflow) ", outside, re.M)


@pytest.mark.parametrize("name", [*PAGES, "CONTRIBUTING.md"])
def test_make_knows_the_targets(name: str) -> None:
    for target in re.findall(r"^ *make ([\w-]+)", (ROOT / name).read_text(), re.M):
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", PROSE)
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert "://" in target or (page.parent / target).exists(), target


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
