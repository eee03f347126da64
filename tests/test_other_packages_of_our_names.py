"""Packages of others that are called like ours, where Python looks first: PYTHONPATH, and the working directory."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.paths import PLUGINS, ROOT
from tests.helpers.subprocess_cli import run

PROGRAM = """
import json, orchestrator, trainers, search_spaces, reports, trainers.datasets, reports.tables
from orchestrator import plugins
files = [module.__file__ for module in (trainers, search_spaces, reports, trainers.datasets, reports.tables)]
print(json.dumps([files, plugins.names("trainer"), plugins.names("data set"), len(plugins.names("reference system"))]))
"""


def file(name: str, text: str = "x = 1\n") -> Callable[[Path], None]:
    """Makes this file of somebody else's."""

    def make(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    return make


HIDING = [
    file("reports.py"),
    file("trainers.py"),
    file("search_spaces.py"),
    file("trainers/__init__.py"),
    file("search_spaces/__init__.py"),
    file("reports/__init__.py", "raise RuntimeError('reports of somebody else')\n"),
    file("reports/tables/__init__.py"),
    file("trainers/datasets/__init__.py"),
]


def found(folder: Path, *options: str, path: str) -> list[object]:
    """What is imported in this working directory, with this PYTHONPATH."""
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, *options, "-c", PROGRAM]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    return list(json.loads(result.stdout))


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    return found(tmp_path_factory.mktemp("empty"), "-P", path=str(ROOT))


@pytest.mark.parametrize("make", HIDING)
def test_ours_are_imported(make: Callable[[Path], None], usual: list[object], tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "empty").mkdir()
    assert found(tmp_path / "empty", "-P", path=f"{tmp_path}{os.pathsep}{ROOT}") == usual
    assert found(tmp_path, path=str(ROOT)) == usual  # as `python -m orchestrator.cli` there


def test_plug_ins_of_the_working_directory_are_found_also_when_it_is_on_the_path(tmp_path: Path) -> None:
    for name in ("trainers/__init__.py", "trainers/mine.py", "trainers/datasets/__init__.py", "trainers/datasets/own.py"):
        file(name)(tmp_path)
    _, trainers, datasets, systems = found(tmp_path, path=f".{os.pathsep}{ROOT}")
    assert isinstance(trainers, list)
    assert isinstance(datasets, list)
    assert {"mine", "cnn"} <= set(trainers)
    assert {"own", "digits"} <= set(datasets)
    assert systems


@pytest.mark.slow
def test_commands_workers_and_copies_find_ours(tmp_path: Path) -> None:
    for make in (file("reports.py"), file("trainers.py"), file("search_spaces.py"), file("search_spaces/__init__.py")):
        make(tmp_path)
    variables = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    words = ("study", "curves", "--trials", "2", "--runs", tmp_path / "runs", "--mirror", "offline")
    _, messages = run(*words, folder=PLUGINS, variables=variables)
    assert "2 finished trials (2 COMPLETE)" in messages
    assert "warning" not in messages
    output, _ = run("leaderboard", "--runs", tmp_path / "runs", "--format", "csv", folder=PLUGINS, variables=variables)
    assert output.count("curves/trials/") == 2
    assert '"trainer": "resnet"' in run("recipe", "001-P2", folder=tmp_path, variables=variables)[0]


def test_a_package_that_was_imported_before_is_named(tmp_path: Path) -> None:
    file("trainers.py")(tmp_path)
    file("sitecustomize.py", "import trainers\n")(tmp_path)
    _, messages = run("baselines", code=65, variables={"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"})
    assert messages == (
        f"error: {tmp_path}/trainers.py was imported in the place of a package of ours; "
        "rename it, or take its folder out of PYTHONPATH\n"
    )


@pytest.mark.parametrize("name", ["pandas", "numpy"])
def test_a_file_that_hides_a_library_is_named(name: str, tmp_path: Path) -> None:
    file(f"{name}.py")(tmp_path)
    variables = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    _, messages = run("leaderboard", "--runs", tmp_path, code=65, variables=variables)
    assert messages == (
        f"error: {tmp_path}/{name}.py hides the library of that name; rename it, or take its folder out of PYTHONPATH\n"
    )
