"""What others may build on: names that change only with a line in the changelog."""

from pathlib import Path

import pytest

import orchestrator
from orchestrator import plugins
from orchestrator.errors import MissingInput


def test_the_package_offers_four_functions() -> None:
    assert orchestrator.__all__ == ["class_names", "load", "runs", "study"]
    assert all(callable(getattr(orchestrator, name)) for name in orchestrator.__all__)


def test_a_runs_folder_that_is_not_there_is_no_empty_one(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"there is no runs folder .*rnus"):
        orchestrator.runs(tmp_path / "rnus")
    assert len(orchestrator.runs(tmp_path).runs) == 0


def test_what_ships_is_found_by_its_file_name() -> None:
    assert {"part1", "part2", "part3"} <= set(plugins.names("plan"))
    assert {"cnn", "resnet"} <= set(plugins.names("trainer"))
    assert {"cifar100", "digits"} <= set(plugins.names("data set"))
    assert "leaderboard" in plugins.names("report")
