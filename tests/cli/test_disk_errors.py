"""A disk that cannot be written."""

import resource
from pathlib import Path

import pytest

from orchestrator.storage.runs import RunsFolder
from tests.cli.studies import QUIET, Refuse
from tests.helpers.in_process_cli import call, content


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_runs_folder_that_cannot_be_made(place: str, refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    refuse(
        74, "study", "curves", "--trials", "2", "--runs", tmp_path / place, *QUIET, says=("cannot write", str(tmp_path / place))
    )


def test_a_disk_that_takes_nothing(refuse: Refuse, tmp_path: Path) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limit[1]))
    try:
        refuse(74, "study", "curves", "--trials", "2", "--runs", tmp_path / "runs", *QUIET, says=("cannot write", "study.lock"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert not (tmp_path / "runs" / "curves").exists()


@pytest.mark.slow
def test_a_disk_that_refuses_in_the_middle(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("study", "curves", "--trials", "5", "--runs", runs, *QUIET)
    obstacle = runs / "curves" / "trials" / "0003"
    obstacle.write_text("in the way")
    before = {name: data for name, data in content(runs).items() if "trials/000" in name}
    result = call(capsys, *words)
    assert result.code == 74
    assert result.messages.count("error: ") == 1
    assert f"cannot write {obstacle}" in result.messages
    assert before.items() <= content(runs).items()
    obstacle.unlink()
    assert call(capsys, *words).code == 0
    assert len(RunsFolder(runs).study("curves").runs()) == 6  # five trials and the retrain
