"""study.json: what a study is, and files of earlier versions."""

import json
from pathlib import Path

import pytest

from orchestrator.errors import BadData, InvalidInput
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_file import Search, StudyFile, upgraded
from orchestrator.storage.study_options import Limits, StudyOptions
from orchestrator.support.serialization import from_plain, to_plain
from tests.helpers.records import PLAN_CONTENT

OPTIONS = {"dataset": "digits", "seed": 3, "epochs": 8, "pruner": "median", "sampler": "tpe"}
COMMON = {"uuid": "u", "name": "s", "created": 1.5, "limits": {"budget": None, "patience": 4, "replicate": False}, "ended": "why"}
FORMER = {**COMMON, "plan": "p", "plan_content": PLAN_CONTENT, "options": OPTIONS, "trials": 12, "storage": "sqlite:///x"}
FORMER_SINGLE = {
    **COMMON,
    "plan": "",
    "plan_content": {},
    "options": {"dataset": "", "seed": 0, "epochs": 0, "pruner": "none", "sampler": "none"},
    "trials": 0,
    "storage": "",
}
STUDY = StudyFile(
    uuid="u",
    name="s",
    created=1.5,
    search=Search(
        plan="p", plan_content=PLAN_CONTENT, options=from_plain(StudyOptions, OPTIONS), trials=12, storage="sqlite:///x"
    ),
    limits=Limits(patience=4),
    ended="why",
)


def test_a_search_of_version_0_1_is_upgraded() -> None:
    assert from_plain(StudyFile, upgraded(FORMER)) == STUDY


def test_single_runs_of_version_0_1_have_no_search() -> None:
    study = from_plain(StudyFile, upgraded(FORMER_SINGLE))
    assert study.search is None
    assert study == StudyFile(uuid="u", name="s", created=1.5, limits=Limits(patience=4), ended="why")


def test_what_this_version_writes_is_left_as_it_is() -> None:
    plain = to_plain(STUDY)
    assert upgraded(plain) is plain
    assert from_plain(StudyFile, plain) == STUDY
    assert upgraded(["no", "study"]) == ["no", "study"]


def test_a_former_file_is_written_in_the_new_form(tmp_path: Path) -> None:
    folder = RunsFolder(tmp_path).study("s")
    folder.path.mkdir()
    folder.study_file.write_text(json.dumps(FORMER))
    study = folder.read()
    folder.write(study)
    assert json.loads(folder.study_file.read_text())["search"]["plan"] == "p"
    assert folder.read() == study == STUDY


def test_a_former_file_that_lacks_something_is_damaged(tmp_path: Path) -> None:
    folder = RunsFolder(tmp_path).study("s")
    folder.path.mkdir()
    folder.study_file.write_text(json.dumps({name: item for name, item in FORMER.items() if name != "options"}))
    with pytest.raises(BadData, match=r"study\.json is damaged"):
        folder.read()


def test_single_runs_are_no_search() -> None:
    assert STUDY.require_search() is STUDY.search
    with pytest.raises(InvalidInput, match="'s' holds single runs, not a search; do that"):
        StudyFile(uuid="u", name="s", created=1.5).require_search("do that")
