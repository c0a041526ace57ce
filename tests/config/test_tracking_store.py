"""Which store MLflow writes to, who says so, and what is refused because it can never work."""

import shlex
from pathlib import Path
from urllib.parse import unquote

import pytest

from harness.compare import __main__ as compare
from harness.config.compose import compose
from harness.config.tracking_store import (
    EXPERIMENT,
    LONGEST,
    URI,
    check_uri,
    make_uri_absolute,
    source_of,
    unused_variables,
)
from harness.core.errors import ConfigError
from harness.sweeps.sweep import Sweep
from harness.tracking.mlflow_experiments import experiment_id
from harness.tracking.mlflow_store import tracking_uri
from harness.tracking.sent import address
from tests.support import program
from tests.support.program import uses_mlflow

pytestmark = uses_mlflow

NEVER = {
    "": "must be sqlite:",
    "./mlruns": "keeps no runs in folders any more; must be sqlite:",
    "/srv/mlruns": "keeps no runs in folders",
    "file:/srv/mlruns": "keeps no runs in folders",
    "file:///srv/mlruns": "keeps no runs in folders",
    "C:\\mlruns": "keeps no runs in folders",
    "127.0.0.1:5077": "as in http://127.0.0.1:5077",
    "localhost:5000": "as in http://localhost:5000",
    "ftp://host/x": "no such store; must be sqlite:",
    "uc:http://host": "no such store",
    "sqlite:relative": "must be sqlite:///PATH",
    "sqlite://": "must be sqlite:///PATH",
    "sqlite:///:memory:": "must be sqlite:///PATH",
    "sqlite:////a/b?mode=ro": "with ?, % or #",
    "http://": "http://127.0.0.1:5000",
    "http://host:port": "http://127.0.0.1:5000",
    "http://a b": "http://127.0.0.1:5000",
    "http://[::1": "http://127.0.0.1:5000",
    "databricks": "set DATABRICKS_HOST",
    "databricks://profile": "set DATABRICKS_HOST",
    "postgresql://me@host/name": "run `mlflow server ",
    "postgresql+psycopg2://host/name": "give the server's address, such as http://127.0.0.1:5000",
    "postgres://host/name": "for a tracking server",
    "mysql+pymysql://host/name": "for a tracking server",
    "mssql+pyodbc://host/name": "for a tracking server",
}
MAY = ("http://127.0.0.1:5000", "https://host/path", "sqlite:////a b/c.db", "sqlite:///c.db")


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home without credentials, in an environment that says nothing."""
    check_uri.cache_clear()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)


@pytest.mark.parametrize("uri", NEVER)
def test_a_store_that_can_never_work_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_uri("tracking.uri", uri)
    assert str(refused.value).startswith(f"tracking.uri={uri}: ")
    assert NEVER[uri] in str(refused.value)


def test_a_database_is_refused_without_its_password() -> None:
    with pytest.raises(ConfigError) as refused:
        check_uri(URI, "mysql+pymysql://me:secret@host/name")
    assert str(refused.value).startswith(f"{URI}=mysql+pymysql://me@host/name: is a database")


@pytest.mark.slow
def test_a_program_that_is_given_a_database_leaves_nothing(tmp_path: Path) -> None:
    done = program.run(tmp_path, "tracking.uri=postgresql://me@127.0.0.1:1/name")
    assert done.code == 2
    [line] = done.err.splitlines()
    assert line.startswith("tracking.uri=postgresql://me@127.0.0.1:1/name: is a database")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uri", MAY)
def test_a_store_that_may_work_is_none_of_our_business(uri: str) -> None:
    check_uri("tracking.uri", uri)


def test_what_is_allowed_or_configured_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    (tmp_path / ".databrickscfg").write_text("[DEFAULT]")
    for uri in ("./mlruns", "databricks"):
        check_uri("tracking.uri", uri)


NAMES = {"": "must be a name", "'  '": "must be a name", "'" + "a" * 501 + "'": "at most 500"}
NAMES |= {"'a\0b'": "text in UTF-8", "'a\udcffb'": "text in UTF-8"}


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_an_experiment_that_mlflow_refuses_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^tracking\.experiment=.*{NAMES[name]}"):
        compose([f"tracking.experiment={name}"])
    compose([f"tracking.experiment={name}", "tracking=journal"])


def test_a_tasks_name_is_checked_where_it_names_the_experiment() -> None:
    long = "a" * (LONGEST + 1)
    with pytest.raises(ConfigError, match=r"^task\.name=a+…: has 501 characters"):
        compose([f"task.name={long}"])
    compose([f"task.name={long}", "tracking.experiment=b"])


def test_the_command_line_wins_over_the_environment_over_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default, theirs = f"sqlite:///{tmp_path}/mlflow.db", "http://theirs:5000"
    assert tracking_uri(None, tmp_path) == default
    assert compose([]).experiment_name == "sum"
    monkeypatch.setenv(URI, theirs)
    monkeypatch.setenv(EXPERIMENT, "thesis")
    assert tracking_uri(None, tmp_path) == theirs
    assert tracking_uri("http://ours:5000", tmp_path) == "http://ours:5000"
    assert source_of(theirs) == " (from MLFLOW_TRACKING_URI)"
    assert source_of("http://ours:5000") == ""
    assert compose([]).experiment_name == "thesis"
    assert compose(["tracking.experiment=ours"]).experiment_name == "ours"
    for variable in (URI, EXPERIMENT):
        monkeypatch.setenv(variable, " ")
    assert tracking_uri(None, tmp_path) == default, "an empty variable is none"
    assert compose([]).experiment_name == "sum"


def test_a_sweeps_parent_is_in_the_environments_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    swept = Sweep(
        directory="", arguments=[], varying=["task"], total=2, results="results", uri=None
    )
    assert swept.experiment(compose([])) == "sweeps"
    monkeypatch.setenv(EXPERIMENT, "thesis")
    assert swept.experiment(compose([])) == "thesis"


def test_what_is_wrong_with_a_variable_is_said_of_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(URI, "./mlruns")
    with pytest.raises(ConfigError, match=r"^MLFLOW_TRACKING_URI=\./mlruns: "):
        compose([])
    compose(["tracking.uri=http://host"])
    compose(["tracking=journal"])
    monkeypatch.setenv(URI, "http://host")
    monkeypatch.setenv(EXPERIMENT, "a" * (LONGEST + 1))
    with pytest.raises(ConfigError, match=r"^MLFLOW_EXPERIMENT_NAME=a+…: has 501"):
        compose([])


def test_a_relative_database_is_one_from_where_the_command_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(URI, "sqlite:///here.db")
    make_uri_absolute()
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert tracking_uri(None, tmp_path) == f"sqlite:///{tmp_path}/here.db"


def test_variables_that_have_no_say_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unused_variables(None) == []
    monkeypatch.setenv("MLFLOW_RUN_ID", "abc")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "3")
    said = unused_variables(None)
    assert [line.partition(":")[0] for line in said] == [
        "MLFLOW_RUN_ID=abc",
        "MLFLOW_EXPERIMENT_ID=3",
    ]
    assert len(unused_variables("thesis")) == 1, "a name overrules a number"


def test_artifacts_of_a_long_name_have_a_folder_that_can_be_made(tmp_path: Path) -> None:
    class Client:
        tracking_uri = "sqlite:///x"

        def get_experiment_by_name(self, name: str) -> None: ...

        def create_experiment(self, name: str, artifact_location: str, tags: object) -> str:
            return artifact_location

    names = ("李" * 400, "李" * 399 + "b", "short")
    places = [experiment_id(Client(), name, tmp_path) for name in names]
    assert len(set(places)) == 3
    assert places[2].endswith("/short")
    assert all(len(unquote(place).rpartition("/")[2].encode()) < 255 for place in places)


@pytest.mark.slow
def test_a_run_goes_where_the_environment_says_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = program.with_database(tmp_path, "my store")
    monkeypatch.setenv(URI, "sqlite:///my store/mlflow.db")
    monkeypatch.setenv(EXPERIMENT, "my thésis")
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    small = ("task.samples=40", "trainer.epochs=1", "model.units=4")
    done = program.run(folder, *small, "hydra.job.chdir=true")
    assert done.code == 0, done.err
    assert not (folder / "results/mlflow.db").exists()
    store = f"sqlite:///{folder}/my store/mlflow.db"
    assert f" in {store} (from MLFLOW_TRACKING_URI)\n" in done.out
    assert "experiment my thésis (from MLFLOW_EXPERIMENT_NAME)\n" in done.out
    assert "MLFLOW_RUN_ID=0000" in done.err
    known = address(program.directory(folder))
    assert known is not None
    assert known["uri"] == store
    [line] = [text for text in done.out.splitlines() if text.startswith("  next ")]
    monkeypatch.chdir(folder)
    for words in (shlex.split(line)[4:], []):  # as it is printed, and what the environment says
        assert compare.main(words) == 0
        assert "1 run in 1 group" in capsys.readouterr().out
    assert compare.main(["--experiment", "sum"]) == 2
    assert "--experiment sum: must be one of" in capsys.readouterr().err
    monkeypatch.setenv(EXPERIMENT, "other")
    assert compare.main([]) == 2
    assert "MLFLOW_EXPERIMENT_NAME=other: must be one of" in capsys.readouterr().err
