"""Commands on a folder of images: study, retrain, submit, train, data verify, data fetch."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from orchestrator import plugins
from orchestrator.errors import BadData, MissingInput
from orchestrator.record import Kind, Status
from orchestrator.sessions.fetch_data import ensure_data_set, report_missing_data_set
from orchestrator.sessions.find_recipe import find_recipe
from orchestrator.storage.runs import RunsFolder
from orchestrator.support.serialization import to_plain
from tests.helpers.image_folders import decoded_folders, write
from tests.helpers.in_process_cli import call, content, refused
from tests.helpers.in_process_study import conduct
from tests.helpers.paths import PLUGINS
from tests.helpers.subprocess_cli import run
from trainers.datasets._listing import listing

QUIET = ("--mirror", "off", "--executor", "in-process")


@pytest.mark.slow
def test_from_a_folder_of_images_to_its_predictions(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--runs", tmp_path / "runs", "--data-dir", tmp_path / "data")
    search = ("study", "part1", *where, *QUIET)
    monkeypatch.chdir(tmp_path)
    relative = ("--dataset", "folder:pictures?size=16", "--epochs", "1")
    assert call(capsys, *search, *relative, "--trials", "1").code == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    refused(capsys, 66, *search, *relative, "--trials", "2", says=(f"there is no folder {tmp_path}/elsewhere/pictures",))
    # A second trial from elsewhere, with the study named: what is left out comes from study.json.
    result = call(capsys, *search, "--study", "part1-pictures", "--trials", "2")
    assert result.code == 0, result.messages
    study = RunsFolder(tmp_path / "runs").known("part1-pictures")
    trials = study.runs(Kind.TRIAL)
    assert [record.status for record in trials] == [Status.COMPLETE] * 2
    assert {record.recipe.dataset for record in trials} == {f"folder:{root}?size=16"}
    assert len({record.provenance.data_digest for record in trials}) == 1
    result = call(capsys, "retrain-best", *where, *QUIET, "--epochs", "1")
    assert result.code == 0, result.messages
    (retrain,) = study.runs(Kind.RETRAIN)
    assert retrain.test is not None
    assert retrain.test.images == 3
    folder = study.folder(retrain).path
    assert (folder / "submission.csv").read_text().splitlines()[0] == "id,label"
    assert (folder / "classes.csv").read_text() == "label,class\n0,one\n1,two\n2,zero\n"
    check = (
        "submit",
        "--check",
        folder / "submission.csv",
        "--dataset",
        f"folder:{root}?size=16",
        "--data-dir",
        tmp_path / "data",
    )
    assert "3 rows for the test images of folder:" in call(capsys, *check).output
    assert call(capsys, "submit", *where, "--device", "cpu").code == 0
    refused(capsys, 2, "submit", *where, "--ood-dir", tmp_path, says=("has no out-of-distribution files: leave out --ood-dir",))


def test_a_study_is_never_resumed_with_other_images(root: Path, tmp_path: Path) -> None:
    request: dict[str, Any] = {"plan": "part1", "dataset": f"folder:{root}?size=16", "epochs": 1}
    conduct(tmp_path, 1, **request)
    file = root / listing(root).train[0].name
    original, stamp = file.read_bytes(), file.stat().st_mtime_ns
    write(file, torch.zeros(3, 20, 20, dtype=torch.uint8))
    with pytest.raises(BadData, match="have changed since the other runs of this study were trained"):
        conduct(tmp_path, 2, **request)
    study = RunsFolder(tmp_path / "runs").known("part1-pictures")
    assert [record.status for record in study.runs(Kind.TRIAL)] == [Status.COMPLETE, Status.RUNNING]
    file.write_bytes(original)
    os.utime(file, ns=(stamp + 1, stamp + 1))  # the same images, though decoded again
    conduct(tmp_path, 2, **request)
    assert [record.status for record in study.runs(Kind.TRIAL)] == [Status.COMPLETE] * 2


def test_a_recipe_names_the_folder_by_its_absolute_path(
    root: Path, tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("001-P1", "part1"):
        recipe = find_recipe(name, dataset="folder:pictures?size=16", data_folder=data)
        assert recipe.dataset == f"folder:{root}?size=16"
    file = tmp_path / "recipe.json"
    file.write_text(json.dumps({**to_plain(find_recipe("001-P1")), "dataset": "folder:pictures"}))
    assert find_recipe(str(file)).dataset == f"folder:{root}"


@pytest.mark.slow  # processes of its own for the conductor, the worker and the copies
def test_a_recipe_is_trained_on_a_folder_by_processes(root: Path, tmp_path: Path, data: Path) -> None:
    where = ("--runs", tmp_path / "runs", "--data-dir", data)
    words = ("train", "part1", "--dataset", "folder:pictures?size=16", "--epochs", "2", *where)
    run(*words, folder=tmp_path)
    (record,) = RunsFolder(tmp_path / "runs").known("train").runs()
    assert (record.status, record.recipe.dataset) == (Status.COMPLETE, f"folder:{root}?size=16")
    run(*words, folder=tmp_path)
    run("submit", *where, record.run_id, folder=PLUGINS)
    path = RunsFolder(tmp_path / "runs").known("train").folder(record).path
    assert (path / "classes.csv").read_text() == "label,class\n0,one\n1,two\n2,zero\n"
    assert len((path / "submission.csv").read_text().splitlines()) == 4


def test_a_dry_run_keeps_nothing_but_the_images_that_were_read(
    root: Path, tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("study", "part1", "--runs", tmp_path / "runs", "--data-dir", data, "--dataset", f"folder:{root}", "--trials", "3")
    assert call(capsys, *words, "--dry-run", "--device", "cpu").code == 0
    before = content(tmp_path)
    assert {Path(name).parts[0] for name in before} == {"pictures", "data"}
    assert call(capsys, *words, "--dry-run", "--device", "cpu").code == 0
    assert content(tmp_path) == before


def test_data_verify_and_fetch_take_a_folder(root: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("verify", "fetch"):
        result = call(capsys, "data", word, f"folder:{root}", "--data-dir", data)
        assert result.code == 0
        assert "is complete and verified" in result.messages
        refused(capsys, 66, "data", word, f"folder:{root}x", "--data-dir", data, says=(f"there is no folder {root}x",))
    assert json.loads((decoded_folders(data)[0] / "facts.json").read_text())["classes"] == ["one", "two", "zero"]


def test_a_data_folder_among_the_images_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = content(root)
    says = ("lies among the images", "--data-dir")
    refused(capsys, 2, "data", "verify", f"folder:{root}", "--data-dir", root / "data", says=says)
    assert content(root) == before


def test_a_missing_folder_is_reported_before_anything_is_fetched(tmp_path: Path, data: Path) -> None:
    dataset = plugins.dataset(f"folder:{tmp_path / 'gone'}")
    for use in (dataset.check, dataset.info, dataset.fetch, lambda folder: dataset.load(folder, "test")):
        with pytest.raises(MissingInput, match="there is no folder"):
            use(data)
    said: list[str] = []
    for find in (ensure_data_set, report_missing_data_set):
        with pytest.raises(MissingInput, match="there is no folder"):
            find(f"folder:{tmp_path / 'gone'}", data, said.append)
    assert said == []
    assert not data.exists()
