"""A user's own reference systems: a file below the working directory is all that it takes."""

import json
from pathlib import Path

import pytest

from orchestrator import plugins
from orchestrator.errors import BadData
from tests.helpers import subprocess_cli
from tests.helpers.in_process_cli import call, refused
from tests.helpers.paths import ROOT
from tests.helpers.reference_systems import SYSTEMS

OWN = """
from orchestrator.contracts import Reported
from search_spaces.reference_systems.support.system import ReportedSystem

SYSTEMS = (
    ReportedSystem(
        system="{system}",
        name="{name}",
        trainer="cnn",
        parameters=643_492,
        epochs=1,
        params={{"blocks": [{{"channels": 4}}], "hidden": [], "augmentation": [], "batch_size": 64}},
        dataset="digits",
        seed=7,
        reported=Reported(test_acc=0.5),
    ),
)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where own systems are found, below the working directory."""
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "search_spaces" / "reference_systems"
    own.mkdir(parents=True)
    return own


def write(folder: Path, module: str, system: str = "lab-1", name: str = "tiny-cnn") -> Path:
    """Each test names its module differently: Python imports a name once."""
    file = folder / f"{module}.py"
    file.write_text(OWN.format(system=system, name=name))
    return file


@pytest.mark.slow
def test_an_own_file_adds_a_system_that_every_command_knows(folder: Path, tmp_path: Path) -> None:
    write(folder, "lab")
    (folder / "_draft.py").write_text("raise RuntimeError\n")
    (folder / "notes").mkdir()
    (folder / "notes" / "old.py").write_text("raise RuntimeError\n")
    listed = json.loads(subprocess_cli.run("baselines", "--format", "json", folder=tmp_path)[0])
    assert [entry["system"] for entry in listed] == [*(system.system for system in SYSTEMS), "lab-1"]
    assert (listed[-1]["part"], listed[-1]["choices"], listed[-1]["reported"]["test_acc"]) == (None, [], 0.5)
    recipe = json.loads(subprocess_cli.run("recipe", "tiny-cnn", folder=tmp_path)[0])
    assert (recipe["plan"], recipe["dataset"], recipe["seed"]) == ("tiny-cnn", "digits", 7)
    words = ("train", "lab-1", "--runs", "runs", "--mirror", "off", "--executor", "in-process")
    messages = subprocess_cli.run(*words, folder=tmp_path)[1]
    assert "reference system lab-1" in messages
    assert "test_acc 0.5" in messages


def test_a_name_that_two_systems_share_is_refused(folder: Path) -> None:
    write(folder, "shared_number", system="001-P2")
    with pytest.raises(BadData, match="2 reference systems are named '001-P2'"):
        plugins.reference_systems()
    write(folder, "shared_number", system="lab-2").unlink()
    assert plugins.reference_systems() == SYSTEMS


@pytest.mark.parametrize(
    ("module", "text", "says"),
    [
        ("without_systems", "OTHERS = ()\n", "does not define 'SYSTEMS'"),
        ("not_a_sequence", "SYSTEMS = 5\n", "TypeError"),
        ("other_things", "SYSTEMS = ('lab',)\n", "holds a str, which is not a ReferenceSystem"),
        ("broken", "raise RuntimeError('boom')\n", "RuntimeError: boom"),
        ("bad_name", OWN.format(system="lab-3", name="a tiny network"), "'a tiny network' must be 1 to 64 letters"),
        ("bad_number", OWN.format(system="my lab; rm", name="lab-4"), "'my lab; rm' must be 1 to 64 letters"),
    ],
)
def test_an_invalid_file_is_named(module: str, text: str, says: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / f"{module}.py"
    file.write_text(text)
    refused(capsys, 65, "baselines", says=(says, module))
    file.unlink()
    assert call(capsys, "baselines").code == 0


def test_the_shipped_ones_are_found_without_own_ones(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert plugins.reference_systems() == SYSTEMS
    assert len(call(capsys, "baselines", "--format", "csv").output.splitlines()) == len(SYSTEMS) + 1
