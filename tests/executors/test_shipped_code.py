"""A failure on a machine of a cluster names code as it lies here: Ray deletes the copies that it shipped."""

from pathlib import Path

import pytest

from orchestrator.executors.code_shipping import PLUGINS
from orchestrator.executors.ray_worker import _located
from orchestrator.jobs import Failed
from orchestrator.record import Failure, FailureKind, SourceLine


def test_shipped_code_is_named_as_it_lies_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = tmp_path / "_ray_pkg_1" / PLUGINS
    shipped.mkdir(parents=True)
    monkeypatch.chdir(shipped)
    files = (shipped / "trainers" / "own.py", shipped.parent / "trainers" / "cnn.py", Path("/usr/lib/torch.py"))
    lines = tuple(SourceLine(file=str(file), line=3, function="f") for file in files)
    failed = Failed(run_id="s/trials/0000", attempt=1, failure=Failure(kind=FailureKind.CRASHED, message="m", source_lines=lines))
    located = _located(failed)
    assert isinstance(located, Failed)
    assert [line.file for line in located.failure.source_lines] == [
        "trainers/own.py",
        "trainers/cnn.py",
        "/usr/lib/torch.py",
    ]
    monkeypatch.chdir(tmp_path)  # no code was shipped here
    unshipped = _located(failed)
    assert isinstance(unshipped, Failed)
    assert unshipped.failure.source_lines == lines
