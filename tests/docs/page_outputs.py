"""Run the examples of a page, and put what they print into it.

A block of Python that begins with the name of a file is that file; the block of text after a block
of bash is what the bash prints.

python -m tests.docs.page_outputs     # docs/porting.md, in a minute
"""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.docs.test_pages import FENCE, FILE
from tests.support import ROOT
from tests.support.shell import paste

PAGE = ROOT / "docs/porting.md"
EXAMPLE = re.compile(r"(?<=^```bash\n)(.*?)(^```\n\n```text\n)(.*?)(?=^```$)", re.M | re.S)
# Numbers that the rounding of another processor decides, or that are measured against it.
BY_ROUNDING = re.compile(r"\d\.\de(-0[5-9]|-[1-9]\d|\+0[5-9]|\+[1-9]\d)")


def with_outputs(page: str, folder: Path) -> str:
    """The page with what its examples print in `folder`, in which they are run in their order."""
    for language, text in FENCE.findall(page):
        if language == "python" and (name := FILE.match(text)):
            (folder / name[1]).write_text(text)
    return EXAMPLE.sub(lambda example: example[1] + example[2] + printed(example[1], folder), page)


def printed(script: str, folder: Path) -> str:
    done = paste(script, folder)
    assert done.code in (0, 1), done.err  # 1: networks differ
    assert "Traceback" not in done.err, done.err
    return "".join(f"{line.rstrip()}\n" for line in done.out.strip().splitlines())


def without_rounding(page: str) -> str:
    """The page without the numbers that differ from machine to machine."""
    return BY_ROUNDING.sub("…", page)


def main() -> None:
    with TemporaryDirectory() as folder:
        PAGE.write_text(with_outputs(PAGE.read_text(), Path(folder)))


if __name__ == "__main__":
    main()
