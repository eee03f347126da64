"""Whatever is wrong with what a user gives: one message that says what, where and what to do, the right exit code, no loss."""

import json
import resource
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from orchestrator.storage.runs import RunsFolder
from orchestrator.submission.out_of_distribution import CHALLENGE
from tests.helpers.in_process_cli import call, content, exit_code, refused
from tests.helpers.paths import PLUGINS

QUIET = ("--mirror", "off", "--executor", "in-process")
PLAN = (PLUGINS / "search_spaces" / "curves.py").read_text()

Refuse = Callable[..., str]


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)
    monkeypatch.delenv("ORCHESTRATE_STORAGE", raising=False)


@pytest.fixture(scope="module")
def finished_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs folder with the study `curves` of three trials, and a retrain."""
    runs = tmp_path_factory.mktemp("finished") / "runs"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(PLUGINS)
        assert exit_code("study", "curves", "--trials", "3", "--runs", runs, *QUIET) == 0
        assert exit_code("retrain-best", "--runs", runs, *QUIET) == 0
    return runs


@pytest.fixture
def runs(finished_runs: Path, tmp_path: Path) -> Path:
    """A copy of it, to be ruined."""
    return Path(shutil.copytree(finished_runs, tmp_path / "runs"))


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Refuse:
    """Refuses a command, and sees that nothing below the test's folder has changed."""

    def checked(code: int, *words: str | Path, says: tuple[str, ...] = ()) -> str:
        before = content(tmp_path)
        message = refused(capsys, code, *words, says=says)
        assert content(tmp_path) == before
        return message

    return checked


# ---------------------------------------------------------------------------------------------- words that nobody knows


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["stdy", "curves"], "unknown command 'stdy'; known: study, "),
        (["data", "fetsh"], "unknown command 'fetsh'; known: fetch, verify"),
        (["study", "curvs", "--trials", "3"], "unknown plan 'curvs'; known: curves, "),
        (["study", "", "--trials", "3"], "unknown plan ''"),
        (
            ["study", "curves", "--trials", "3", "--dataset", "cifr100"],
            "unknown data set 'cifr100'; known: cifar100, cifar10, folder",
        ),
        (["study", "curves", "--trials", "3", "--dataset", ""], "unknown data set ''"),
        (["study", "curves", "--trials", "3", "--epochs", "100001"], "100001 is more than 100,000"),
        (["train", "001-P1", "--epochs", "999999"], "999999 is more than 100,000"),
        (["study", "curves", "--trials", "3", "--executor", "in-process", "--workers", "4"], "leave --workers 4 out"),
        (["study", "curves", "--trials", "3", "--pruner", "medain"], "unknown pruner 'medain'; known: median, "),
        (["study", "curves", "--trials", "3", "--sampler", "tp"], "unknown sampler 'tp'; known: tpe, random"),
        (["study", "curves", "--trials", "3", "--mirror", "onlin"], "unknown mirror 'onlin'; known: online, offline, "),
        (["study", "curves", "--trials", "3", "--executor", "process"], "unknown executor 'process'; known: processes, "),
        (["study", "curves", "--trials", "3", "--format", "jsn"], "unknown format 'jsn'; known: json, table"),
        (["leaderboard", "--format", "cvs"], "unknown format 'cvs'; known: csv, "),
        (["leaderboard", "--report", "leaderbord"], "unknown report 'leaderbord'; known: leaderboard"),
        (["data", "fetch", "cifar1"], "unknown data set 'cifar1'; known: cifar10, cifar100, "),
        (["data", "fetch", "resnet50-V1"], "known: resnet50-IMAGENET1K_V1, "),
        (["data", "verify", "cifar1"], "unknown data set 'cifar1'; known: cifar10, cifar100, "),
        (["study", "curves", "--trials", "3", "--dataset", "folder"], "needs to be told which: folder:PATH"),
        (["submit", "--check", "x.csv", "--dataset", "digit"], "unknown data set 'digit'; known: digits, "),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones_nearest_first(
    words: list[str], says: str, refuse: Refuse, tmp_path: Path
) -> None:
    where = ["--runs", str(tmp_path / "runs")] if words[0] in {"study", "leaderboard", "submit"} else []
    refuse(2, *words, *where, says=(says,))


@pytest.mark.parametrize("command", ["leaderboard", "status", "retrain-best", "mirror"])
def test_an_unknown_study_is_answered_with_the_known_ones(command: str, runs: Path, refuse: Refuse) -> None:
    refuse(2, command, "curve", "--runs", runs, says=("unknown study 'curve'; known: curves; the runs folder is", str(runs)))


@pytest.mark.parametrize("command", ["retrain", "submit"])
@pytest.mark.parametrize("run", ["curves/9", "curves/trials/0009", "curves/trials", "curves", "curves/../curves/trials/0001"])
def test_an_unknown_run_is_answered_with_the_known_ones(command: str, run: str, runs: Path, refuse: Refuse) -> None:
    refuse(2, command, run, "--runs", runs, says=("curves/trials/0000",))


@pytest.mark.parametrize("command", ["leaderboard", "status", "retrain-best", "mirror", "submit"])
def test_without_any_study_it_is_said_how_to_begin_one(command: str, refuse: Refuse, tmp_path: Path) -> None:
    refuse(66, command, "--runs", tmp_path / "nowhere", says=(str(tmp_path / "nowhere"), "orchestrate "))


# ------------------------------------------------------------------------------------------------ values that cannot be


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--trials", "0", "'0' is not a whole number of at least 1"),
        ("--trials", "-3", "'-3' is not a whole number of at least 1"),
        ("--trials", "x", "'x' is not a whole number of at least 1"),
        ("--trials", "2.5", "'2.5' is not a whole number of at least 1"),
        ("--trials", "1_0", "'1_0' is not a whole number of at least 1"),
        ("--trials", "9" * 5000, "is not a whole number"),
        ("--epochs", "0", "'0' is not a whole number of at least 1"),
        ("--seed", "-1", "'-1' is not a whole number of at least 0"),
        ("--study", "../x", "'../x' cannot be the name of a study: use 1 to 64 letters, digits"),
        ("--study", "a b", "'a b' cannot be the name of a study"),
        ("--study", "a" * 200, "aaa...' cannot be the name of a study"),
        ("--study", "", "'' cannot be the name of a study"),
        ("--device", "foo", "device 'foo' is none of auto, cpu, mps, cuda"),
        ("--device", "cuda:x", "device 'cuda:x' is none of"),
        ("--workers", "0", "not '0'"),
        ("--workers", "x", "--workers must be auto or a whole number"),
        ("--workers", "²", "not '²'"),
        ("--workers", "100000", "4 per core of this machine"),
        ("--runs", "", "it is empty"),
        ("--storage", "", "--storage must be a database URL such as sqlite:///FILE"),
        ("--storage", "studies.db", "--storage must be a database URL"),
        ("--storage", "postgresql://user@host:port/name", "--storage must be a database URL"),
        ("--storage", "oracel://user@host/name", "--storage must be a database URL"),
        ("--storage", "sqlite:///", "names no database"),
        ("--no-such-option", "1", "no such option '--no-such-option'"),
    ],
)
def test_a_value_that_cannot_be_is_refused(option: str, value: str, says: str, refuse: Refuse, tmp_path: Path) -> None:
    options = {"--trials": "2", "--runs": str(tmp_path / "runs"), "--mirror": "off", option: value}
    words = [word for pair in options.items() for word in pair]
    message = refuse(2, "study", "curves", *words, says=(says,))
    assert len(message) < 6000


@pytest.mark.parametrize("url", ["postgresql://user:s3cret@host:port/name", "oracel://user:s3cret@host/name", "x://u:s3@s3cret"])
def test_a_password_in_what_is_no_database_url_is_not_shown(
    url: str, refuse: Refuse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATE_STORAGE", url)
    message = refuse(
        2, "study", "curves", "--trials", "2", "--runs", tmp_path / "runs", says=("--storage must be a database URL",)
    )
    assert "s3" not in message


def test_a_device_that_is_not_there_is_refused(refuse: Refuse, tmp_path: Path) -> None:
    words = ("study", "curves", "--trials", "2", "--runs", tmp_path / "runs")
    refuse(69, *words, "--device", "cuda:77", says=("'cuda:77'", "use --device auto or cpu"))


def test_what_is_left_out_is_named(refuse: Refuse, tmp_path: Path) -> None:
    refuse(2, "study", says=("'PLAN'", "orchestrate study --help"))
    refuse(2, "retrain", says=("'RUN'", "orchestrate retrain --help"))
    refuse(2, "study", "curves", "--runs", tmp_path / "runs", says=("--trials N",))


# ------------------------------------------------------------------------------------------------------------ plan files

BROKEN_PLANS = {
    "has a syntax error": ("def plan(", "def plan(:", 65, ("SyntaxError", "line 11")),
    "raises when it is read": ('DATASET = "digits"', 'raise RuntimeError("boom")', 65, ("RuntimeError: boom", "line 8")),
    "ends the process": ('DATASET = "digits"', "raise SystemExit(3)", 65, ("SystemExit", "line 8")),
    "imports what is not there": ('DATASET = "digits"', "import nowhere", 65, ("No module named 'nowhere'",)),
    "names no data set": ('DATASET = "digits"', "", 65, ("does not define 'DATASET'",)),
    "is named otherwise": ("def plan(", "def plann(", 65, ("does not define 'plan'",)),
    "names an unknown data set": ('DATASET = "digits"', 'DATASET = "digit"', 2, ("unknown data set 'digit'; known: digits, ",)),
    "names an unknown trainer": ('trainer="curve"', 'trainer="curv"', 2, ("unknown trainer 'curv'; known: curve, ",)),
    "names an unknown pruner": (
        'pruner="median"',
        'pruner="medain"',
        2,
        ("unknown pruner 'medain'; known: median",),
    ),
    "takes no arguments": ("dataset: str, info: DataSetInfo", "", 65, ("TypeError", "takes 0 positional arguments")),
    "raises when it is asked": ("    return StudyPlan(", "    return info.nothing(", 65, ("no attribute 'nothing'", "line 12")),
    "gives something else": ("    return StudyPlan(", "    return dict(", 65, ("gives a dict where", "StudyPlan is expected")),
    "asks for no epochs": ("        epochs=8,", "        epochs=0,", 2, ("epochs must be at least 1, not 0",)),
    "asks for half a retrain": ("retrain_epochs=12", "retrain_epochs=-1", 2, ("retrain_epochs must be at least 1",)),
    "counts in a wrong direction": (
        "        confirm_epochs=8,",
        '        confirm_epochs=8, metric=__import__("orchestrator.record").record.Metric(direction="up"),',
        65,
        ("'up' is none of 'maximize', 'minimize'",),
    ),
    "has no distribution": ("FloatDistribution(0.0, 0.5)", "(0.0, 0.5)", 65, ("dropout must be an Optuna distribution",)),
    "has a range upside down": ("FloatDistribution(0.0, 0.5)", "FloatDistribution(0.9, 0.5)", 65, ("ValueError", "line ")),
    "samples what its trainer does not have": (
        '"weight_decay": FloatDistribution',
        '"weight_decey": FloatDistribution',
        2,
        ("unknown hyperparameter 'weight_decey'; known: weight_decay, ", "its trainer does not have it"),
    ),
    "has a baseline outside its range": (
        '"learning_rate": 0.1',
        '"learning_rate": 100',
        2,
        ("learning_rate = 100 of the baseline 000-P1 is outside its range",),
    ),
    "fixes what its trainer does not accept": ('trainer="curve"', 'trainer="cnn", params={"hidden": [0]}', 2, ("'hidden'", "0")),
    "reaches beyond what its trainer accepts": (
        "FloatDistribution(0.0, 0.5)",
        "FloatDistribution(0.0, 1.5)",
        2,
        ("the range of dropout holds what its trainer refuses", "1.5"),
    ),
}


@pytest.mark.parametrize("broken", sorted(BROKEN_PLANS))
def test_a_plan_file_that_cannot_work_is_refused_before_any_trial(broken: str, refuse: Refuse, tmp_path: Path) -> None:
    old, new, code, says = BROKEN_PLANS[broken]
    text = PLAN.replace(old, new, 1)
    assert text != PLAN
    if "reaches" in broken:  # the trainer of the test plug-ins accepts everything
        text = text.replace('trainer="curve"', 'trainer="cnn"')
    file = tmp_path / "mine.py"
    file.write_text(text)
    message = refuse(code, "study", file, "--trials", "2", "--runs", tmp_path / "runs", *QUIET, says=says)
    assert "mine" in message


@pytest.mark.parametrize("name", ["nowhere.py", "folder.py"])
def test_a_plan_file_that_is_missing(name: str, refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    refuse(66, "study", tmp_path / name, "--trials", "2", "--runs", tmp_path / "runs", says=(str(tmp_path / name),))


def test_a_plan_file_whose_name_cannot_be_a_study(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "my plan.py").write_text(PLAN)
    refuse(2, "study", tmp_path / "my plan.py", "--trials", "2", "--runs", tmp_path / "runs", says=("'my plan'", "1 to 64"))


# ------------------------------------------------------------------------------------------------------------ data files


def on_cifar100(tmp_path: Path, data: Path) -> list[str]:
    return [
        "study",
        "curves",
        "--dataset",
        "cifar100",
        "--trials",
        "2",
        "--runs",
        str(tmp_path / "runs"),
        "--data-dir",
        str(data),
    ]


def test_missing_data_names_the_file_and_both_ways_to_get_it(
    refuse: Refuse, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    ways = (str(data / "cifar-100-python" / "train"), f"orchestrate data fetch cifar100 --data-dir {data}", "By hand: download")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there: no network
    result = call(capsys, *on_cifar100(tmp_path, data))
    announced, error = result.messages.splitlines()
    assert (result.code, result.output, announced) == (66, "", f"cifar100 is not in {data}: fetching it, once")
    assert all(way in error for way in (*ways, "Tried just now: cannot download"))
    assert not (tmp_path / "runs").exists()
    refuse(66, "data", "verify", "cifar100", "--data-dir", data, says=ways)


def test_a_data_file_that_is_another_one(refuse: Refuse, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "cifar-100-python"
    folder.mkdir(parents=True)
    for name in ("train", "test", "meta"):
        (folder / name).write_bytes(b"not a pickle")
    says = (str(folder / "train"), "truncated or altered", "orchestrate data fetch cifar100", "By hand: download")
    refuse(65, *on_cifar100(tmp_path, tmp_path / "data"), says=says)
    refuse(65, "data", "verify", "cifar100", "--data-dir", tmp_path / "data", says=says)


@pytest.mark.parametrize("damage", ["truncated", "altered"])
def test_the_real_data_with_one_byte_wrong(
    damage: str, cifar100_folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "data" / "cifar-100-python"
    folder.mkdir(parents=True)
    for name in ("train", "meta"):
        (folder / name).symlink_to(cifar100_folder / "cifar-100-python" / name)
    test = bytearray((cifar100_folder / "cifar-100-python" / "test").read_bytes())
    if damage == "truncated":
        del test[-1]
    else:
        test[len(test) // 2] ^= 1
    (folder / "test").write_bytes(test)
    refused(capsys, 65, *on_cifar100(tmp_path, tmp_path / "data"), says=(str(folder / "test"), "truncated or altered"))
    assert not (tmp_path / "runs" / "curves-cifar100").exists()


# --------------------------------------------------------------------------------------- out-of-distribution test images


@pytest.fixture
def cifar100_runs(runs: Path) -> Path:
    """As if the retrain had been of CIFAR-100: what is checked before anything is predicted."""
    for file in runs.glob("curves/retrain/*/record.json"):
        file.write_text(file.read_text().replace('"digits"', '"cifar100"'))
    return runs


def write_header(path: Path, header: bytes) -> None:
    """A file of the right size, whose content is a hole, after numpy's magic words and this header."""
    with path.open("wb") as stream:
        stream.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.ljust(117) + b"\n")
        stream.truncate(CHALLENGE.file_bytes)


RIGHT_HEADER = b"{'descr': '|u1', 'fortran_order': False, 'shape': (50000, 32, 32, 3), }"
WRONG_ARRAYS: dict[str, tuple[Callable[[Path], object], str]] = {
    "small": (lambda path: np.save(path, np.zeros((10, 32, 32, 3), np.uint8)), "expected 153,600,128 bytes, found 30,848"),
    "pickled": (lambda path: np.save(path, np.array([{"a": 1}]), allow_pickle=True), "expected 153,600,128 bytes"),
    "empty": (lambda path: path.write_bytes(b""), "found 0"),
    "channels first": (lambda path: write_header(path, RIGHT_HEADER.replace(b"32, 32, 3", b"3, 32, 32")), "(50000, 3, 32, 32)"),
    "floats": (lambda path: write_header(path, RIGHT_HEADER.replace(b"|u1", b"<f8")), "'<f8'"),
    "objects": (lambda path: write_header(path, RIGHT_HEADER.replace(b"|u1", b"|O")), "'|O'"),
    "zeros": (lambda path: write_header(path, RIGHT_HEADER), "sha256"),
}


@pytest.mark.parametrize("wrong", sorted(WRONG_ARRAYS))
def test_an_array_that_is_not_the_challenges(wrong: str, cifar100_runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write, says = WRONG_ARRAYS[wrong]
    folder = cifar100_runs.parent / "ood"
    folder.mkdir()
    for number in range(CHALLENGE.files):
        write(folder / CHALLENGE.file_name(number))
    before = content(cifar100_runs)
    words = ("submit", "--runs", cifar100_runs, "--ood-dir", folder)
    refused(capsys, 65, *words, says=(str(folder / "distortion00.npy"), says))
    assert content(cifar100_runs) == before


def test_missing_arrays_are_named_unless_partial_is_asked_for(cifar100_runs: Path, refuse: Refuse, tmp_path: Path) -> None:
    folder = tmp_path / "ood"
    folder.mkdir()
    words = ("submit", "--runs", cifar100_runs, "--ood-dir", folder)
    refuse(66, *words, "--partial", says=("19 of 19 files are missing", str(folder)))
    (folder / "distortion07.npy").write_bytes(b"")
    refuse(66, *words, says=("18 of 19 files are missing", "distortion00.npy", "distortion18.npy", "--partial"))
    refuse(65, *words, "--partial", says=("distortion07.npy",))
    refuse(66, "submit", "--runs", cifar100_runs, "--ood-dir", tmp_path / "nowhere", says=("19 of 19", "nowhere"))


# ------------------------------------------------------------------------------------------------------------------ disk


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


# --------------------------------------------------------------------------------------------------------------- storage


def test_a_database_that_cannot_be_reached(refuse: Refuse, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'nowhere' / 'x.db'}"
    words = ("study", "curves", "--trials", "2", "--runs", tmp_path / "runs", *QUIET)
    refuse(69, *words, "--storage", url, says=(url, "unable to open database file", "--storage"))
    assert not (tmp_path / "runs" / "curves").exists()


def test_a_database_whose_driver_is_missing(refuse: Refuse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("study", "curves", "--trials", "2", "--runs", tmp_path / "runs", *QUIET)
    shown = "postgresql://user:***@127.0.0.1:1/name"
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setenv("ORCHESTRATE_STORAGE", shown.replace("***", "s3cret"))
    message = refuse(69, *words, says=(shown,))
    assert "s3cret" not in message
    assert "pip install 'sweep-conductor[postgresql]'" in message


def test_a_finished_study_is_unchanged_by_a_database_that_cannot_be_reached(runs: Path, refuse: Refuse) -> None:
    database = runs / "optuna.db"
    database.unlink()
    database.mkdir()
    refuse(69, "study", "curves", "--trials", "5", "--runs", runs, *QUIET, says=("optuna.db",))


def test_another_study_of_that_name_in_the_database(runs: Path, refuse: Refuse, tmp_path: Path) -> None:
    words = ("study", "curves", "--trials", "2", "--runs", tmp_path / "others", *QUIET)
    refuse(78, *words, "--storage", f"sqlite:///{runs / 'optuna.db'}", says=("another study 'curves'", "--study", "--storage"))
    assert not (tmp_path / "others" / "curves").exists()


def test_a_password_is_written_nowhere(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, database = tmp_path / "runs", tmp_path / "team.db"
    words = ("study", "curves", "--runs", runs, *QUIET)
    url = f"sqlite:///file:{database}?uri=true&password=s3cret"
    first = call(capsys, *words, "--trials", "1", "--storage", url)
    assert "can read a command line; a URL with a password belongs in ORCHESTRATE_STORAGE" in first.messages
    assert first.code == 0
    assert database.is_file()
    message = refused(capsys, 2, *words, "--trials", "2", says=("passwords are never stored", "--storage", "ORCHESTRATE_STORAGE"))
    monkeypatch.setenv("ORCHESTRATE_STORAGE", url.replace("team.db", "other.db"))
    other = refused(capsys, 78, *words, "--trials", "2")
    monkeypatch.setenv("ORCHESTRATE_STORAGE", url)
    second = call(capsys, *words, "--trials", "2")
    assert second.code == 0
    assert "command line" not in second.messages
    for text in (first.messages, second.messages, message, other):
        assert "s3cret" not in text
    for path in runs.rglob("*"):
        assert not path.is_file() or b"s3cret" not in path.read_bytes(), path


# ---------------------------------------------------------------------------------------------------------------- resume


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--epochs", "5", "epochs: 8 -> 5"),
        ("--seed", "3", "seed: 0 -> 3"),
        ("--pruner", "asha", 'pruner: "median" -> "asha"'),
        ("--sampler", "random", 'sampler: "tpe" -> "random"'),
        ("--dataset", "cifar100", 'dataset: "digits" -> "cifar100"'),
        ("--storage", "sqlite:///other.db", "storage: the default -> sqlite:///other.db"),
    ],
)
def test_other_options_on_resume(option: str, value: str, says: str, runs: Path, refuse: Refuse) -> None:
    words = ("study", "curves", "--study", "curves", "--trials", "9", "--runs", runs, *QUIET)
    refuse(78, *words, option, value, says=(says, "'curves'", "--study NAME"))


def test_another_plan_on_resume(runs: Path, refuse: Refuse, tmp_path: Path) -> None:
    file = tmp_path / "curves.py"
    file.write_text(PLAN.replace("FloatDistribution(0.0, 0.5)", "FloatDistribution(0.0, 0.4)"))
    refuse(78, "study", file, "--trials", "9", "--runs", runs, *QUIET, says=("space.dropout.attributes.high: 0.5 -> 0.4",))


def test_a_second_conductor_is_told_who_has_the_study(runs: Path, refuse: Refuse) -> None:
    with RunsFolder(runs).study("curves").lock():
        holder = json.loads((runs / "curves" / "study.lock").read_text())
        for words in (["study", "curves", "--trials", "9", *QUIET], ["retrain-best", "--epochs", "2", *QUIET], ["mirror"]):
            refuse(75, *words, "--runs", runs, says=(f"process {holder['process']} on {holder['host']}", "try again"))


# ----------------------------------------------------------------------------------------------- nothing to go on with


def test_nothing_to_retrain_and_nothing_to_submit(runs: Path, refuse: Refuse) -> None:
    shutil.rmtree(runs / "curves" / "retrain")
    refuse(66, "submit", "--runs", runs, says=("no finished retrain", "orchestrate retrain-best"))
    for file in (runs / "curves" / "trials").glob("*/record.json"):
        file.write_text(file.read_text().replace('"COMPLETE"', '"FAILED"'))
    refuse(66, "retrain-best", "--runs", runs, *QUIET, says=("no COMPLETE trial", "--study curves"))
    shutil.rmtree(runs / "curves" / "trials")
    refuse(66, "retrain-best", "--runs", runs, *QUIET, says=("no COMPLETE trial", "orchestrate study"))


def test_a_trial_whose_weights_were_not_kept(runs: Path, refuse: Refuse) -> None:
    (runs / "curves" / "trials" / "0001" / "best.pt").unlink()
    refuse(66, "submit", "curves/1", "--runs", runs, says=("trials/0001/best.pt",))


# ----------------------------------------------------------------------------------------------------------- submissions

ROWS = [f"{image},{image % 10}" for image in range(179)]
WRONG_SUBMISSIONS = {
    "nothing": ([], "line 1: expected the header id,label"),
    "no header": (ROWS, "line 1: expected the header id,label, found '0,0'"),
    "a row too few": (["id,label", *ROWS[:-1]], "before the row of 178"),
    "a row too many": (["id,label", *ROWS, "179,0"], "line 181: found '179,0'"),
    "rows in another order": (["id,label", ROWS[1], ROWS[0], *ROWS[2:]], "line 2: expected the row of 0"),
    "a class that is none": (["id,label", *ROWS[:5], "5,10", *ROWS[6:]], "line 7: the label of 5 is '10'"),
    "a fraction": (["id,label", *ROWS[:5], "5,5.0", *ROWS[6:]], "line 7: the label of 5 is '5.0'"),
    "an index column": ([",id,label", *[f"{n},{row}" for n, row in enumerate(ROWS)]], "line 1: expected the header"),
}


@pytest.mark.parametrize("wrong", sorted(WRONG_SUBMISSIONS))
def test_a_wrong_submission_has_its_first_wrong_line_named(wrong: str, refuse: Refuse, tmp_path: Path) -> None:
    lines, says = WRONG_SUBMISSIONS[wrong]
    file = tmp_path / "submission.csv"
    file.write_text("".join(line + "\n" for line in lines))
    refuse(65, "submit", "--check", file, "--dataset", "digits", says=(str(file), says))


def test_other_things_than_a_submission(refuse: Refuse, tmp_path: Path) -> None:
    refuse(66, "submit", "--check", tmp_path / "nowhere.csv", says=("nowhere.csv",))
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    refuse(65, "submit", "--check", tmp_path / "binary.csv", says=("binary.csv, line 1",))
    refuse(74, "submit", "--check", tmp_path, says=(str(tmp_path),))


def test_a_right_submission(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (file,) = runs.glob("curves/retrain/*/submission.csv")
    result = call(capsys, "submit", "--check", file, "--dataset", "digits")
    assert (result.code, result.messages) == (0, "")
    assert "179 rows" in result.output


# --------------------------------------------------------------------------------------------------------- damaged files

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "torn": lambda data: data[: len(data) // 2],
    "noise": lambda data: np.random.default_rng(0).bytes(len(data)),
    "another JSON": lambda data: b"[1, 2]\n",
    "an unknown field": lambda data: data.replace(b"{", b'{"invented": 1, ', 1),
    "a wrong type": lambda data: data.replace(b'"uuid": "', b'"uuid": 1, "x": "').replace(b'"status": "', b'"status": "UN'),
}


@pytest.mark.parametrize("damage", sorted(DAMAGES))
@pytest.mark.parametrize("name", ["study.json", "trials/0001/record.json"])
def test_a_damaged_record_is_named_and_nothing_else_is_touched(damage: str, name: str, runs: Path, refuse: Refuse) -> None:
    file = runs / "curves" / name
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    for words in (["study", "curves", "--trials", "9", *QUIET], ["status"], ["retrain-best", *QUIET]):
        refuse(65, *words, "--runs", runs, says=(f"{file} is damaged", "restore it from a backup, or move"))


@pytest.mark.parametrize("damage", ["empty", "torn", "noise"])
def test_damaged_epochs_are_named_and_nothing_else_is_touched(damage: str, runs: Path, refuse: Refuse) -> None:
    file = runs / "curves" / "trials" / "0001" / "epochs.jsonl"
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    refuse(65, "study", "curves", "--trials", "9", "--runs", runs, *QUIET, says=(str(file),))


def test_a_copied_trial_does_not_count_twice(runs: Path, refuse: Refuse) -> None:
    trials = runs / "curves" / "trials"
    shutil.copytree(trials / "0001", trials / "0001-copy")
    says = (str(trials / "0001-copy"), "curves/trials/0001", "move")
    for words in (["study", "curves", "--trials", "9", *QUIET], ["leaderboard"], ["status"]):
        refuse(65, *words, "--runs", runs, says=says)


@pytest.mark.parametrize("damage", ["empty", "torn", "noise", "one bit"])
def test_damaged_weights_are_refused_and_the_submission_stays(damage: str, runs: Path, refuse: Refuse) -> None:
    (file,) = runs.glob("curves/retrain/*/best.pt")
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 1
    file.write_bytes(DAMAGES[damage](bytes(data)) if damage in DAMAGES else bytes(data))
    refuse(65, "submit", "--runs", runs, says=(f"{file} is damaged",))


def test_options_for_files_that_a_data_set_does_not_have(runs: Path, tmp_path: Path, refuse: Refuse) -> None:
    for options in (("--ood-dir", tmp_path), ("--partial",)):
        refuse(2, "retrain-best", "--runs", runs, *options, says=("digits has no out-of-distribution files",))


def test_a_run_that_no_number_names(runs: Path, refuse: Refuse) -> None:
    refuse(2, "retrain", "curves/²", "--runs", runs, says=("unknown run 'curves/²'",))


def test_a_submission_for_the_test_images_of_cifar100_is_checked_as_one(
    tmp_path: Path, cifar100_folder: Path, refuse: Refuse, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "submission.csv"
    rows = [f"{number},{number % 100}\n" for number in range(10_000)]
    file.write_text("id,label\n" + "".join(rows))
    result = call(capsys, "submit", "--check", file, "--data-dir", cifar100_folder)
    assert (result.code, result.messages) == (0, "")
    assert "10,000 rows for the test images of cifar100" in result.output
    file.write_text("id,label\n" + "".join(rows[:-1]))
    refuse(65, "submit", "--check", file, "--data-dir", cifar100_folder, says=("before the row of 9999",))
