"""Durations come from a clock that nobody sets; the time of day is for records."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.record import Provenance
from orchestrator.support.clock import SystemClock
from tests.helpers.paths import ROOT

FOLDERS = ("orchestrator", "trainers", "reports", "search_spaces")
OF_DAY = {"time", "time_ns", "now", "utcnow", "today", "st_mtime", "st_mtime_ns", "st_ctime"}
# Where the time of day is not subtracted: it names files in order, and orders studies.
ALLOWED = {"orchestrator/support/clock.py", "orchestrator/storage/queue.py", "orchestrator/storage/study_folder.py"}


def asks_the_time_of_day(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Attribute) and part.attr in OF_DAY for part in ast.walk(node))


def is_time_of_day(value: ast.AST) -> bool:
    """Whether it is a time of day itself, such as `clock.now()`."""
    asked = value.func if isinstance(value, ast.Call) else value
    return isinstance(asked, ast.Attribute) and asked.attr in OF_DAY


def differences(tree: ast.AST) -> Iterator[int]:
    """Lines where a time of day is part of a sum, a difference or a comparison, itself or by a name that was given it."""
    of_day = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and is_time_of_day(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp | ast.Compare):
            named = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            if asks_the_time_of_day(node) or named & of_day:
                yield node.lineno


def test_no_duration_is_taken_from_the_time_of_day() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}"
        for folder in FOLDERS
        for file in sorted((ROOT / folder).rglob("*.py"))
        if str(file.relative_to(ROOT)) not in ALLOWED
        for line in differences(ast.parse(file.read_text()))
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    ["used = clock.now() - began", "now = time.time()\nold = now - since", "late = time.time() - file.stat().st_mtime > 9"],
)
def test_what_takes_a_duration_from_the_time_of_day_is_found(code: str) -> None:
    assert list(differences(ast.parse(code)))


def test_time_elapses_at_the_pace_of_the_clock_that_nobody_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    before = clock.elapsed()
    monkeypatch.setattr("time.time", lambda: -7.0)
    assert 0 <= clock.elapsed() - before < 60
    assert clock.now() == 0.0  # and never a time that no record can hold


def test_a_record_is_never_finished_before_it_began() -> None:
    provenance = Provenance(study="u", started=1000.0)
    assert provenance.ended(1060.0).finished == 1060.0
    assert provenance.ended(1000.0 - 3600).finished == 1000.0


def test_the_program_is_where_this_test_looks() -> None:
    assert all((ROOT / folder).is_dir() for folder in FOLDERS)
    assert all(Path(ROOT / file).is_file() for file in ALLOWED)
