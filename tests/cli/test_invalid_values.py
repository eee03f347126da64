"""An option's value that is invalid is refused with the reason."""

from pathlib import Path

import pytest

from tests.cli.studies import Refuse


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--trials", "0", "'0' is not a whole number of at least 1"),
        ("--trials", "-3", "'-3' is not a whole number of at least 1"),
        ("--trials", "x", "'x' is not a whole number of at least 1"),
        ("--trials", "2.5", "'2.5' is not a whole number of at least 1"),
        ("--trials", "1_0", "'1_0' is not a whole number of at least 1"),
        ("--trials", "9" * 5000, "is not a whole number"),
        ("--epochs", "0", "'0' is not a whole number of at least 1"),
        ("--seed", "-1", "'-1' is not a whole number of at least 0"),
        ("--study", "../x", "'../x' cannot be the name of a study: use 1 to 64 letters, digits"),
        ("--study", "a b", "'a b' cannot be the name of a study"),
        ("--study", "a" * 200, "aaa...' cannot be the name of a study"),
        ("--study", "", "'' cannot be the name of a study"),
        ("--device", "foo", "device 'foo' is none of auto, cpu, mps, cuda"),
        ("--device", "cuda:x", "device 'cuda:x' is none of"),
        ("--workers", "0", "not '0'"),
        ("--workers", "x", "--workers must be auto or a whole number"),
        ("--workers", "²", "not '²'"),
        ("--workers", "100000", "4 per core of this machine"),
        ("--runs", "", "it is empty"),
        ("--storage", "", "--storage must be a database URL such as sqlite:///FILE"),
        ("--storage", "studies.db", "--storage must be a database URL"),
        ("--storage", "postgresql://user@host:port/name", "--storage must be a database URL"),
        ("--storage", "oracel://user@host/name", "--storage must be a database URL"),
        ("--storage", "sqlite:///", "names no database"),
        ("--no-such-option", "1", "no such option '--no-such-option'"),
    ],
)
def test_a_value_that_cannot_be_is_refused(option: str, value: str, says: str, refuse: Refuse, tmp_path: Path) -> None:
    options = {"--trials": "2", "--runs": str(tmp_path / "runs"), "--mirror": "off", option: value}
    words = [word for pair in options.items() for word in pair]
    message = refuse(2, "study", "curves", *words, says=(says,))
    assert len(message) < 6000


@pytest.mark.parametrize("url", ["postgresql://user:s3cret@host:port/name", "oracel://user:s3cret@host/name", "x://u:s3@s3cret"])
def test_a_password_in_what_is_no_database_url_is_not_shown(
    url: str, refuse: Refuse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATE_STORAGE", url)
    message = refuse(
        2, "study", "curves", "--trials", "2", "--runs", tmp_path / "runs", says=("--storage must be a database URL",)
    )
    assert "s3" not in message


def test_a_device_that_is_not_there_is_refused(refuse: Refuse, tmp_path: Path) -> None:
    words = ("study", "curves", "--trials", "2", "--runs", tmp_path / "runs")
    refuse(69, *words, "--device", "cuda:77", says=("'cuda:77'", "use --device auto or cpu"))


def test_what_is_left_out_is_named(refuse: Refuse, tmp_path: Path) -> None:
    refuse(2, "study", says=("'PLAN'", "orchestrate study --help"))
    refuse(2, "retrain", says=("'RUN'", "orchestrate retrain --help"))
    refuse(2, "study", "curves", "--runs", tmp_path / "runs", says=("--trials N",))


def test_options_for_files_that_a_data_set_does_not_have(runs: Path, tmp_path: Path, refuse: Refuse) -> None:
    for options in (("--ood-dir", tmp_path), ("--partial",)):
        refuse(2, "retrain-best", "--runs", runs, *options, says=("digits has no out-of-distribution files",))
