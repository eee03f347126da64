"""Commands in unusual folders and environments, and with plug-ins of the working directory."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.storage.runs import RunsFolder
from tests.cli.studies import QUIET, shell, trial_lines
from tests.helpers.in_process_cli import content, refused
from tests.helpers.paths import PLUGINS


@pytest.mark.slow
def test_no_home_a_plain_locale_and_a_folder_with_an_unusual_name(tmp_path: Path) -> None:
    folder = tmp_path / "Übung 1 (größe)"
    shutil.copytree(PLUGINS, folder)
    script = f'unset HOME; orchestrate study "curves" --trials 2 {" ".join(QUIET)} && orchestrate leaderboard'
    result = shell(script, folder, LC_ALL="C", LANG="C")
    assert result.returncode == 0, result.stderr
    assert len(trial_lines(result.stderr)) == 2
    assert "curves/trials/0001" in result.stdout
    assert (folder / "runs" / "curves" / "study.json").is_file()


@pytest.mark.slow
def test_from_an_empty_folder_with_what_is_shipped(tmp_path: Path) -> None:
    tmp_path.joinpath("empty").mkdir()
    words = "study part1 --dataset digits --trials 1 --epochs 1 --mirror off --executor in-process"
    result = shell(f"orchestrate {words}", tmp_path / "empty")
    assert result.returncode == 0, result.stderr
    assert [path.name for path in (tmp_path / "empty").iterdir()] == ["runs"]
    assert RunsFolder(tmp_path / "empty" / "runs").studies() == ["part1-digits"]


def test_the_console_script_is_the_same_command() -> None:
    script = Path(sys.executable).with_name("orchestrate")
    if not script.is_file():
        pytest.skip("this package is not installed, only imported")
    found = subprocess.run([script, "--help"], capture_output=True, text=True, check=True)
    assert found.stdout == shell("orchestrate --help").stdout


@pytest.mark.slow
def test_a_plan_below_the_working_directory_hides_the_shipped_one_of_that_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shutil.copytree(PLUGINS, tmp_path / "mine")
    (tmp_path / "mine" / "search_spaces" / "curves.py").rename(tmp_path / "mine" / "search_spaces" / "part1.py")
    words = ["study", "part1", "--dataset", "digits", "--study", "mine", "--runs", str(tmp_path / "runs"), *QUIET]
    assert shell(f"orchestrate {' '.join(words)} --trials 1", tmp_path / "mine").returncode == 0
    assert [record.recipe.trainer for record in RunsFolder(tmp_path / "runs").study("mine").runs()] == ["curve"]
    before = content(tmp_path)
    refused(capsys, 78, *words, "--trials", "2", says=('recipe.trainer: "curve" -> "cnn"',))
    assert content(tmp_path) == before


@pytest.mark.parametrize("kind", ["trainers", "search_spaces"])
def test_a_plug_in_of_ones_own_that_is_broken(kind: str, tmp_path: Path) -> None:
    shutil.copytree(PLUGINS, tmp_path / "mine")
    (file,) = (tmp_path / "mine" / kind).glob("curve*.py") if kind == "trainers" else [tmp_path / "mine" / kind / "curves.py"]
    file.write_text('raise RuntimeError("boom")\n')
    result = shell(f"orchestrate study curves --trials 1 --runs {tmp_path}/runs {' '.join(QUIET)}", tmp_path / "mine")
    assert result.returncode == 65
    assert "RuntimeError: boom" in result.stderr
    assert f"{file}, line 1" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "runs").exists()
