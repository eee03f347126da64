"""The JSON files of a runs folder, and those of the user's state: each command names a damaged one, and changes nothing."""

import fcntl
import json
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from tests.generated_inputs.amounts import amounts, for_all
from tests.generated_inputs.conftest import QUIET, World
from tests.generated_inputs.mutations import changed_bytes, changed_json, unusual_json
from tests.generated_inputs.plug_ins import PLAN
from tests.generated_inputs.verdict import DATA, DIFFERS, DISK, MISSING, SERVICE, USAGE, holding, judged

TRIAL = f"{PLAN}/trials/0001"
LOOKING: tuple[tuple[str, ...], ...] = (
    ("status", PLAN),
    ("status", PLAN, "--format", "json"),
    ("leaderboard", PLAN),
    ("leaderboard", PLAN, "--format", "csv"),
    ("leaderboard", PLAN, "--format", "json"),
    ("leaderboard", PLAN, "--format", "md"),
    ("recipe", f"{PLAN}/1"),
)
DOING: tuple[tuple[str, ...], ...] = (
    ("study", PLAN, "--dry-run", *QUIET),
    ("study", PLAN, "--dry-run", "--trials", "9", "--budget", "1h", "--format", "json", *QUIET),
    ("study", PLAN, "--dry-run", "--replicate", "--study", "another", "--trials", "3", *QUIET),
    ("enqueue", PLAN, "dropout=9"),
    ("retrain", f"{PLAN}/1", "--workers", "2", "--epochs", "9", *QUIET),
    ("submit", f"{PLAN}/1", "--device", "nowhere"),
)
# What a file that others may have written can mean: what it names is unknown, missing, or elsewhere.
CODES = (0, USAGE, DATA, MISSING, SERVICE, DISK, DIFFERS)


def plain(file: Path) -> Any:
    return json.loads(file.read_text().splitlines()[0] if file.suffix == ".jsonl" else file.read_text())


@st.composite
def changed_epochs(draw: st.DrawFn, content: bytes) -> bytes:
    """Lines of epochs, one of which is changed; sometimes one too many, or one too few."""
    lines = content.splitlines(keepends=True)
    at = draw(st.integers(0, len(lines) - 1))
    lines[at] = draw(changed_json(json.loads(lines[at]), indent=None))
    if not draw(st.integers(0, 3)):
        del lines[draw(st.integers(0, len(lines) - 1))]
    return b"".join(lines)


@contextmanager
def worked_on(world: World, holder: bytes) -> Iterator[None]:
    """As if another process had the study, with this in its lock file."""
    with world.study.lock_file.open("r+b") as lock, holding(world.study.lock_file, holder):
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def a_running_trial(world: World) -> Iterator[None]:
    """As if a trial were trained now, by a process that has the study."""
    record = world.runs / TRIAL / "record.json"
    running = json.loads(record.read_text()) | {"status": "RUNNING"}
    with (
        holding(record, json.dumps(running).encode()),
        worked_on(world, b'{"process":1,"host":"here","since":"2026-01-01","work":"trials"}'),
    ):
        yield


@pytest.mark.parametrize("name", ["study.json", "trials/0001/record.json", "trials/0001/epochs.jsonl"])
@amounts(5, 60)
def test_a_damaged_file_of_a_study_is_named(name: str, examples: int, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    file = world.study.path / name
    sound = file.read_bytes()
    damaged = changed_epochs(sound) if name.endswith("jsonl") else changed_json(plain(file))

    def check(generated: tuple[bytes, tuple[str, ...], bool]) -> None:
        content, words, running = generated
        with a_running_trial(world) if running and "record" not in name else _nothing(), holding(file, content):
            codes: Collection[int] = (0, DATA) if words in LOOKING else (*CODES, *((75,) if running else ()))
            result = judged(capsys, world.folder, codes, *words, "--runs", world.runs)
            # A report is ours, and a file must not make it fail in a way that names something else.
            assert " failed: " not in result.messages
            if words in LOOKING and result.code:
                assert str(world.study.path) in result.messages
            if words[-1] == "json" and result.code == 0:
                json.loads(result.output, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))

    for_all(st.tuples(damaged, st.sampled_from((*LOOKING, *DOING)), st.booleans()), check, examples)


@pytest.mark.parametrize("name", ["study.json", "trials/0000/record.json", "trials/0003/epochs.jsonl"])
@amounts(0, 3)
def test_a_study_goes_on_or_leaves_damaged_files_as_they_are(
    name: str, examples: int, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = (world.study.path / name).read_bytes()
    damaged = changed_epochs(sound) if name.endswith("jsonl") else changed_json(json.loads(sound))
    study = ("study", PLAN, "--trials", "5", "--data-dir", world.data, *QUIET)

    def check(content: bytes) -> None:
        shutil.rmtree(tmp_path / "runs", ignore_errors=True)
        runs = Path(shutil.copytree(world.runs, tmp_path / "runs"))
        (runs / PLAN / name).write_bytes(content)
        judged(capsys, runs, CODES, *study, "--runs", runs, writes=True)

    for_all(damaged, check, examples)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@pytest.mark.parametrize("name", ["study.json", "trials/0001/record.json", "trials/0001/epochs.jsonl"])
@amounts(3, 25)
def test_unusual_json_is_read_as_what_it_says(name: str, examples: int, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    file = world.study.path / name
    lines = file.read_bytes().splitlines(keepends=True)
    # The order of the hyperparameters in study.json is that of columns.
    unusual = unusual_json(plain(file), lines=not name.endswith("jsonl"), shuffled=name != "study.json")
    study = ("study", PLAN, "--dry-run", "--data-dir", str(world.data), *QUIET)

    def check(generated: tuple[bytes, tuple[str, ...]]) -> None:
        content, words = generated
        printed = judged(capsys, world.folder, (0,), *words, "--runs", world.runs)
        with holding(file, content + b"".join(lines[1:]) if name.endswith("jsonl") else content):
            assert judged(capsys, world.folder, (0,), *words, "--runs", world.runs) == printed

    for_all(st.tuples(unusual, st.sampled_from((*LOOKING[:6], study))), check, examples)


@amounts(4, 40)
def test_a_damaged_lock_tells_less_and_nothing_else(examples: int, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    holder = {"process": 4711, "host": "here", "since": "2026-01-01 00:00:00", "work": "trials"}

    study = ("study", PLAN, "--trials", "9", *QUIET)

    def check(generated: tuple[bytes, tuple[str, ...]]) -> None:
        content, words = generated
        with worked_on(world, content):
            names = [f"study '{PLAN}' is being run by"] if words == study else []
            judged(capsys, world.folder, (75 if names else 0,), *words, "--runs", world.runs, names=names)

    for_all(st.tuples(changed_json(holder, indent=None), st.sampled_from((*LOOKING[:3], study))), check, examples)


@amounts(4, 40)
def test_a_damaged_setting_that_waits_is_named(examples: int, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    file = world.study.enqueued / "00000000000000000001-0.json"
    setting = {"batch_size": 4, "learning_rate": 0.1, "dropout": 0.3, "at_epoch": 2}

    def check(generated: tuple[bytes, tuple[str, ...]]) -> None:
        content, words = generated
        with holding(file, content):
            result = judged(capsys, world.folder, (0, USAGE, DATA), *words, "--runs", world.runs)
            if words[0] == "study":
                assert result.code == 0 or str(file) in result.messages

    commands = (("status", PLAN), ("enqueue", PLAN, "dropout=9"), ("study", PLAN, "--trials", "9", "--dry-run", *QUIET))
    for_all(st.tuples(changed_json(setting, indent=None), st.sampled_from(commands)), check, examples)


@amounts(4, 40)
def test_a_damaged_memory_of_runs_folders_is_ignored(
    examples: int, world: World, state_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = state_folder / "orchestrate" / "runs-folders.json"
    folders = {str(world.folder): str(world.folder / "elsewhere"), "/nowhere": "/runs", "": ""}
    (world.folder / "elsewhere").mkdir(exist_ok=True)

    def check(content: bytes) -> None:
        with holding(file, content):
            # The runs folder of this working directory is then the usual one, or whatever the file says.
            judged(capsys, world.folder, (0, USAGE, MISSING, DISK), "status", PLAN)
            judged(capsys, world.folder, (0,), "status", PLAN, "--runs", world.runs)

    for_all(changed_json(folders), check, examples)


@amounts(2, 25)
def test_weights_of_which_any_byte_differs_are_refused_by_name(
    examples: int, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    file = world.retrain / "best.pt"
    sound = file.read_bytes()

    def check(content: bytes) -> None:
        if content != sound:
            with holding(file, content):
                words = ("submit", f"{PLAN}/retrain/{world.retrain.name}", "--runs", world.runs, "--data-dir", world.data)
                judged(capsys, world.folder, (DATA,), *words, names=(str(file),))

    for_all(changed_bytes(sound), check, examples)
