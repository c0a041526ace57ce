"""What docs/porting.md says that its examples print is what they print."""

from pathlib import Path

import pytest

from tests.docs.page_outputs import EXAMPLE, PAGE, with_outputs, without_rounding


@pytest.mark.slow
def test_the_examples_print_what_the_page_says(tmp_path: Path) -> None:
    page = PAGE.read_text()
    assert len(EXAMPLE.findall(page)) == 6
    assert without_rounding(with_outputs(page, tmp_path)) == without_rounding(page)


def test_an_output_that_is_out_of_date_is_replaced(tmp_path: Path) -> None:
    program = "```python\n# mine.py\nprint(6 * 7)\n```\n\n"
    page = program + "```bash\npython mine.py\n```\n\n```text\n{}\n```\n"
    assert with_outputs(page.format("41"), tmp_path) == page.format("42")
    assert without_rounding("limit 1e-05: 3.1e-07") == without_rounding("limit 1e-05: 2.9e-07")
    assert without_rounding("z 1.6e+00") != without_rounding("z 1.7e+00")
