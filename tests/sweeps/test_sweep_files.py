"""A sweep file has exactly the jobs that it says; one that cannot be meant is refused at once."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.core.errors import ConfigError
from harness.sweeps.listed_jobs import ListedJobs, listed_jobs
from harness.sweeps.sweep_file import read_sweep_file
from harness.tracking.job_outcomes import jobs
from harness.tracking.journal import first
from tests.support import program
from tests.support.command_lines import run_all

TINY = ["task.samples=40", "model.units=3", "trainer.epochs=2", "tracking=journal"]
PLACE = "hydra.sweep.dir=sw"


def listed(text: str, folder: Path, typed: Sequence[str] = ()) -> ListedJobs:
    path = folder / "my.yaml"
    path.write_text(text)
    return listed_jobs(read_sweep_file(path), typed)


def short(found: ListedJobs) -> list[str]:
    """Each job's values alone."""
    return [" ".join(word.partition("=")[2] for word in words) for words in found.overrides]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{model: [rnn, lstm], seed: range(2)}", ["rnn 0", "rnn 1", "lstm 0", "lstm 1"]),
        ("[{model: lstm}, {seed: [3, 4]}]", ["lstm", "3", "4"]),
        ("- model=lstm 'seed=range(2)' optimizer.lr=1e-3", ["lstm 0 0.001", "lstm 1 0.001"]),
        ("- {zip: {model: [rnn, lstm], seed: range(2)}, replicas: [5, 6]}",
         ["rnn 0 5", "rnn 0 6", "lstm 1 5", "lstm 1 6"]),
        ("- {zip: [{seed: [1, 2], replicas: [3, 4]}, {model: rnn, task: sum}]}",
         ["1 3 rnn sum", "2 4 rnn sum"]),
        ("- {model: [rnn, lstm], only: {for: {model: lstm}, seed: [1, 2]}}",
         ["rnn", "lstm 1", "lstm 2"]),
        ("- {model: [a, b, c], only: [{for: {model: [b, c]}, zip: {x: [1, 2], y: [3, 4]}}]}",
         ["a", "b 1 3", "b 2 4", "c 1 3", "c 2 4"]),
        ("- {m: [a, b], only: [{for: {m: b}, x: [1, 2]}, {for: {x: 2}, y: 7}]}",
         ["a", "b 1", "b 2 7"]),
        ("- {m: [a, b], x: [1, 2], exclude: [{m: b, x: 2}]}", ["a 1", "a 2", "b 1"]),
        ("- {m: [a, b], only: {for: {m: b}, x: [1, 2]}, exclude: {x: 2}}", ["a", "b 1"]),
        ("- {lr: [0.01, 1e-3], exclude: {lr: 1.0e-2}}", ["0.001"]),
        ("- {lengths: [[2, 4], [3, 5]]}", ["[2,4]", "[3,5]"]),
        ("- {note: [two words, null, true]}", ["two\\ words", "null", "True"]),
    ],
)  # fmt: skip
def test_the_jobs_of_a_file(text: str, expected: list[str], tmp_path: Path) -> None:
    assert short(listed(text, tmp_path)) == expected


def test_a_job_that_is_listed_twice_is_left_out(tmp_path: Path) -> None:
    found = listed("[{seed: [0, 1], model: rnn}, {model: [rnn, lstm], seed: 1}]", tmp_path)
    assert short(found) == ["0 rnn", "1 rnn", "lstm 1"]
    assert found.repeated == 1
    assert found.items == [1, 1, 2]
    assert short(listed("- seed: [1, 2, 1]", tmp_path)) == ["1", "2"]


def test_typed_words_multiply_the_jobs_or_replace_values(tmp_path: Path) -> None:
    text = "- {model: [rnn, lstm], only: {for: {model: lstm}, x: 3}}"
    words = ["++task.samples=40", "seed=0,1"]
    assert short(listed(text, tmp_path, words)) == [
        "rnn 40 0", "rnn 40 1", "lstm 40 0 3", "lstm 40 1 3",
    ]  # fmt: skip
    assert short(listed(text, tmp_path, ["model=lstm"])) == ["lstm 3"]
    assert short(listed(text, tmp_path, ["model=rnn"])) == ["rnn"]
    assert short(listed(text, tmp_path, ["x=4,5"])) == ["rnn 4", "rnn 5", "lstm 4", "lstm 5"]


def test_the_keys_that_distinguish_the_jobs(tmp_path: Path) -> None:
    text = "[{task: sum, model: lstm, x: 1}, {task: sum, model: lstm, seed: range(2), x: 1}]"
    assert listed(text, tmp_path).varying == ["seed"]
    assert listed(text, tmp_path, ["model=rnn,lstm"]).varying == ["model", "seed"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"my\.yaml: must be a list of items"),
        ("3", r"my\.yaml: must be a list of items"),
        ("- seed: 1\n  a: b: c", r"my\.yaml, line 2: cannot be read as YAML"),
        ("- {}", r"item 1: must be a mapping"),
        ("- seed: 1\n- []", r"item 2: must be a mapping"),
        ("- seed: 1\n- model", r"item 2: model: must be words of the form KEY=VALUE"),
        ("- model='rnn", r"item 1: .*No closing quotation"),
        ("- {seed: 1, model: rnn}\n- {seed: [], model: rnn}", r"item 2: seed: has no value"),
        ("- seed:", r"item 1: seed: has no value"),
        ("- seed: 1\n  seed: 2", r"line 2 has seed for the second time"),
        ("- ? [a]\n  : 1", r"line 1 has a key that is no text"),
        ("- seed: {a: 1}", r"item 1: seed: takes values, no mapping"),
        ("- {seed: 1, exclud: [{seed: 1}]}", r"exclud: takes values.* 'exclude'\?"),
        ("- seed: interval(0, 1)", r"item 1: seed=interval.*only a search"),
        ("- seed: shuffle(range(4))", r"item 1: seed=shuffle.*leave out shuffle"),
        ("- {seed: range(1000), x: range(101)}", r"item 1: are more than 100,000 jobs"),
        ("- seed: range(60000)\n- x: range(60000)", r"my\.yaml: has more than 100,000 jobs"),
        ("- {x: [1, 2], only: {for: {x: 1}, y: range(100001)}}", r"item 1: .*more than 100,000"),
        ("- zip: {a: [1, 2], b: [1, 2, 3]}", r"item 1: zip: .*; a has 2, b has 3"),
        ("- zip: []", r"item 1: zip: must be a mapping"),
        ("- zip: {seed: [1], exclude: [1]}", r"exclude: does not belong here"),
        ("- {seed: 1, for: 1}", r"for: does not belong here, but to an entry of only"),
        ("- {m: a, only: {for: {m: a}}}", r"only: each needs for"),
        ("- {m: a, only: {x: 1}}", r"only: each needs for"),
        ("- {m: a, only: {for: m, x: 1}}", r"for: must be a mapping"),
        ("- {model: a, only: {for: {modl: a}, x: 1}}", r"for: modl: .*no such key.* 'model'\?"),
        ("- {m: [a, b], only: {for: {m: c}, x: 1}}", r"for: m=c: .*the item has m=a, m=b"),
        ("- {m: [a, b], exclude: {m: c}}", r"exclude: m=c: .*the item has m=a, m=b"),
        ("- {m: [a, b], exclude: {m: [a, b]}}", r"exclude: no job is left"),
        ("- sweep.skip: finished", r"item 1: sweep\.skip: .*type it on the command line"),
        ("- hydra/launcher: basic", r"item 1: hydra/launcher: .*type it on the command line"),
        ("- {x: &a [1, 2], y: *a}", r"line 1 has an alias, a"),
        ("[" * 300_000, r"nested more than 50 deep"),  # libyaml crashes
        ("# " + "x" * 1_000_000, r"over 1,000,000 bytes"),
        ("- x: \x00", r"my\.yaml.*: cannot be (read|used)"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        listed(text, tmp_path)


def test_zipped_keys_cannot_be_typed_as_well(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"item 1: zip: a goes with other keys"):
        listed("- zip: {a: [1, 2], b: [1, 2]}", tmp_path, ["a=1"])


# What a file says, what is typed besides, and what the one line must hold.
NOT_COMPOSED = [
    ("- seed: [0, 1]\n- model: [lstm, lstn]", [], "my.yaml, item 2, job lstn: model=lstn: must be"),
    ("- seed: [0, 1]\n- model.unit: [3, 4]", [], "item 2, job unit=3: model.unit: there is no"),
    ("- model.units: [3, x]", [], "item 1, job x: model.units=x: must be a whole number"),
    ("- {model: [rnn, lstm], model.activation: [tanh, relu]}", [],
     "item 1, job lstm·relu: model.activation=relu: with model=lstm it must be tanh"),
    ("- {model: [rnn, lstm], model.activation: [tanh, relu]}", ["hydra/launcher=basic"],
     "item 1, job lstm·relu: model.activation=relu: with model=lstm it must be tanh"),
    ("- optimizer: [sgd, adam]", ["optimizer.momentum=0.9"],
     "item 1, job adam: optimizer.momentum: there is no such key"),
    ("- model: glob(x*)", [], "item 1: model=glob(x*): matches nothing; model has gru, lstm, rnn"),
    ("- results: [a, b]", [], "results=a: a sweep keeps all its jobs in one place"),
]  # fmt: skip


@pytest.mark.slow
def test_a_job_that_cannot_be_composed_is_refused_before_the_first(tmp_path: Path) -> None:
    tasks = []
    for number, (text, words, _) in enumerate(NOT_COMPOSED):
        place = tmp_path / str(number)
        place.mkdir()
        (place / "my.yaml").write_text(text)
        tasks.append((place, ["-m", "sweep.file=my.yaml", "tracking=journal", *words]))
    for done, (_, _, message) in zip(run_all(tasks), NOT_COMPOSED, strict=True):
        assert done.code == 2
        [line] = done.err.splitlines()
        assert message in line
        assert done.left == ["my.yaml"], "no folder is left"


SWEEP = """\
- {model: [rnn, gru], only: {for: {model: gru}, seed: [1, 2]}}
- zip: {optimizer.lr: [0.1, 0.2], trainer.batch_size: [8, 16]}
"""
NAMES = ["rnn", "gru·seed=1", "gru·seed=2", "lr=0.1·batch_size=8", "lr=0.2·batch_size=16"]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["batched", "basic"])
def test_a_sweep_carries_out_its_file(launcher: str, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(SWEEP)
    words = ["-m", *TINY, "sweep.file=my.yaml", PLACE, f"hydra/launcher={launcher}"]
    done = program.run(tmp_path, *words)
    assert done.code == 0, done.err
    found = jobs(tmp_path / "sw")
    assert [(job.number, job.name, job.status) for job in found] == [
        (number, name, "FINISHED") for number, name in enumerate(NAMES)
    ]
    params = [program.events(tmp_path / "sw" / job.folder, "start")[0]["params"] for job in found]
    assert [p["model.cell"] for p in params] == ["rnn", "gru", "gru", "rnn", "rnn"]
    assert [p["trainer.batch_size"] for p in params[3:]] == [8, 16]
    assert {p["trainer.epochs"] for p in params} == {2}
    begin = first(tmp_path / "sw", ("sweep",))
    assert begin is not None
    assert begin["jobs"] == 5


@pytest.mark.slow
def test_a_sweep_goes_on_with_its_jobs_though_the_file_has_changed(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(SWEEP.replace("0.2", "1e200"))
    words = ["-m", *TINY, "optimizer=sgd", "sweep.file=my.yaml", PLACE]
    assert program.run(tmp_path, *words).code == 1, "the last job fails"
    (tmp_path / "my.yaml").write_text("- seed: [7")
    names = [*NAMES[:-1], "lr=1e+200·batch_size=16"]
    shown = program.run(tmp_path, "-m", "sweep.resume=sw", "sweep.dry_run=true")
    assert [name for name in names if f" {name} " in shown.out] == names, shown.err
    done = program.run(tmp_path, "-m", "sweep.resume=sw")
    assert "5 jobs (4 finished before, 1 begun)" in done.err
    assert [(job.name, job.folder) for job in jobs(tmp_path / "sw")] == list(
        zip(names, ["0", "1", "2", "3", "4-2"], strict=True)
    )
