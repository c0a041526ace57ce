"""What is printed can be pasted, and what is typed is read as meant.

Decides with any text, on the way that a pasted word goes: the shell's splitting, Hydra's grammar,
OmegaConf. `tests/runs/test_resume_completion.py` pastes a printed command into a folder with an
awkward name.
"""

import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from harness.config.compose import compose
from harness.config.overrides import readable, with_force_add, without_force_add
from harness.console.command_line import option, override, shell_line
from harness.core.errors import ConfigError

AWKWARD = "ab9-_./\\'\"${}[](),:=#&~ %@+*?!|<>;`李é\t\n"
TEXT = st.text(st.sampled_from(AWKWARD), max_size=12) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
)


@settings(max_examples=300, deadline=None)
@given(TEXT)
@example("\\\n")
@example("\\\\'${a}\\")
@example("1e5")
@example("null")
def test_any_text_comes_back_from_a_shell_and_hydra(text: str) -> None:
    word = override("results", text)
    assert shlex.split(shell_line([word, *option("--results", text)]))[0] == word
    parsed = OverridesParser.create().parse_override(word)
    assert not parsed.is_sweep_override()
    node = OmegaConf.create({"results": "before"})
    OmegaConf.update(node, "results", parsed.value())
    assert node.results == text
    assert readable([word]) == [word], "what is right already stays as it is"


def test_an_options_value_may_look_like_an_option() -> None:
    assert option("--experiment", "-x") == ["--experiment=-x"]
    assert option("--experiment", "x") == ["--experiment", "x"]


def test_quotes_are_those_that_a_reader_expects() -> None:
    assert shell_line(["results/runs", "resume='a b'"]) == "results/runs \"resume='a b'\""
    assert shell_line(["$a'b"]) == shlex.quote("$a'b"), "a shell reads $ within double quotes"


# A word as the shell hands it over, and the value that it means.
MEANT = {
    "results=李明": "李明",
    "tracking.experiment=a#b": "a#b",
    "results=a=b": "a=b",
    "results=a&b": "a&b",
    "results= a b ": " a b ",
    "results=a(b)": "a(b)",
    "results=a{b}": "a{b}",
    "results=a[1]": "a[1]",
    "results=it's": "it's",
    'results=a"b': 'a"b',
    "results=$HOME": "$HOME",
    "results=a:b": "a:b",
    "results='a b'": "a b",
    "results=a\\,b": "a,b",
    "tracking.experiment=1e5": "1e5",
    "tracking.experiment=007": "007",
    "tracking.experiment=-x": "-x",
    "task.name=true": "true",
    "resume=null": None,
    "hydra.run.dir=李/${now:%Y}": "李/${now:%Y}",
    "model.units=4#": "4#",
    "task.samples=40": 40,
    "++results=李": "李",
}


@pytest.mark.parametrize("word", MEANT)
def test_a_text_needs_no_quotes_of_hydras_where_one_thing_can_be_meant(word: str) -> None:
    [found] = readable([word])
    assert OverridesParser.create().parse_override(found).value() == MEANT[word]


SEVERAL = {"resume=a·b,c": ["'a·b'", "c"], "results=a,b": ["a", "b"], "seed=0,1": ["0", "1"]}


@pytest.mark.parametrize("word", SEVERAL)
def test_commas_separate_values(word: str) -> None:
    parsed = OverridesParser.create().parse_override(readable([word])[0])
    assert list(parsed.sweep_string_iterator()) == SEVERAL[word]


def test_a_tilde_is_the_users_home_and_a_relative_database_stays_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert readable(["results=~/x", "tracking.uri=sqlite:///a.db"]) == [
        override("results", f"{tmp_path}/x"),
        override("tracking.uri", f"sqlite:///{tmp_path}/a.db"),
    ]


def test_options_and_their_values_are_left_alone() -> None:
    words = ["--config-dir", "my=李", "-m", "~trainer.shuffle", "李=3", "foo"]
    assert readable(words) == words


def test_what_may_be_hydras_grammar_is_shown_with_quotes() -> None:
    with pytest.raises(ConfigError) as refused:
        compose(["results=a[1,2]"])
    assert str(refused.value).endswith("""as one text, type "results='a[1,2]'".""")


ADDED = {
    ("-m", "task=next_value,multi_step", "task.window=5"): ["++task.window=5"],
    ("-m", "task.window=5", "task=choice(sum,next_value)"): ["++task.window=5"],
    ("-m", "experiment=notebook_ramp,notebook_sum", "task.window=5", "hydra.job.name=a"): [
        "++task.window=5"
    ],
    ("-m", "task=next_value", "task.window=5,6"): [],
    ("task=next_value", "task.window=5"): [],
    ("resume=a", "task.window=5", "hydra.verbose=true"): ["++task.window=5"],
    ("resume=null", "task.window=5"): [],
}


@pytest.mark.parametrize("words", ADDED, ids=" ".join)
def test_a_key_is_added_where_a_group_is_not_yet_chosen(words: tuple[str, ...]) -> None:
    found = with_force_add(list(words))
    assert [word for word in found if word.startswith("++")] == ADDED[words]
    assert without_force_add(found) == list(words)
