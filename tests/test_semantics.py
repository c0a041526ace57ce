"""The rules as data: presets are complete, values are checked, and the table in docs is current."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.semantics import RULES, Semantics
from harness.semantics_table import PRESETS, preset, table

DOCS = Path(__file__).parents[1] / "docs" / "semantics.md"


def test_table_in_docs_is_what_the_dataclass_says() -> None:
    assert DOCS.read_text(encoding="utf-8") == table(), (
        "run: python -m harness.semantics_table > docs/semantics.md"
    )


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_named_as_its_file(name: str) -> None:
    assert preset(name).name == name


def test_every_field_but_the_name_is_a_rule_with_meaning_and_source() -> None:
    assert list(RULES) == [field.name for field in fields(Semantics)][1:]
    for name, declared in RULES.items():
        assert declared["meaning"], name
        assert declared["source"], name
        assert bool(declared["accepted"]) != bool(declared["within"]), name


@pytest.mark.parametrize("name", [n for n, declared in RULES.items() if declared["accepted"]])
def test_unknown_word_is_refused_with_the_valid_ones(name: str) -> None:
    with pytest.raises(ConfigError, match=f"semantics.{name}=sideways: must be one of") as refused:
        replace(preset("matched"), **{name: "sideways"})
    for word in RULES[name]["accepted"]:
        assert word in str(refused.value)


@pytest.mark.parametrize("name", [n for n, declared in RULES.items() if declared["within"]])
def test_number_outside_its_range_is_refused(name: str) -> None:
    outside = float("inf") if name == "forget_bias" else -1.0
    with pytest.raises(ConfigError, match=f"semantics.{name}="):
        replace(preset("matched"), **{name: outside})
