"""Switches of W&B itself, in variables and settings files: data stay where they are to stay, and runs are ours."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wandb
import wandb.env

from orchestrator.observers.replay import replay
from orchestrator.observers.subprocess_observer import SubprocessObserver
from orchestrator.observers.wandb import Mirror, Nothing, open_mirror
from orchestrator.observers.wandb_switches import REMOVED, REMOVED_VARIABLES, clean, setting_of
from tests.helpers.observed_runs import study_of
from tests.helpers.paths import ROOT
from tests.helpers.wandb_files import complete
from tests.helpers.wandb_server import WandbServer
from tests.observers.test_wandb_online import KEY

GLOBAL, LOCAL = "home/.config/wandb/settings", "wandb/settings"


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory and a home folder without settings; a key is set, so that W&B would upload."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    wandb.teardown()  # W&B reads all of it once in a process
    yield tmp_path
    wandb.teardown()


def write(file: str, *lines: str) -> None:
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["[default]", *lines, ""]))


def opened(mode: str = "auto") -> Mirror | Nothing:
    found = open_mirror({"study": "part2", "folder": str(Path("runs/part2").absolute()), "mode": mode})
    assert isinstance(found, Mirror | Nothing)
    return found


def mode_of(found: Mirror | Nothing) -> str:
    return found._mode if isinstance(found, Mirror) else "disabled"


def test_with_a_key_runs_are_uploaded() -> None:
    assert mode_of(opened()) == "online"


@pytest.mark.parametrize("file", [LOCAL, GLOBAL, ".wandb/settings"])
@pytest.mark.parametrize(
    ("lines", "mode"),
    [
        (["mode = offline"], "offline"),
        (["mode = dryrun"], "offline"),
        (["mode = disabled"], "disabled"),
        (["disabled = true"], "disabled"),
        (["mode = offline", "no_such_setting = 1"], "offline"),  # W&B itself would take none of it, and upload
        (["mode = online"], "online"),
        (["mode = offline", "project = a%b"], "offline"),
    ],
)
def test_a_settings_file_is_obeyed(file: str, lines: list[str], mode: str) -> None:
    write(file, *lines)
    if "%" in lines[-1]:
        with pytest.raises(Exception, match="%"):  # W&B cannot read it: no run, and nothing is sent
            opened()
        return
    assert mode_of(opened()) == mode
    assert (mode == "disabled") is not Path("runs").exists()
    assert mode_of(opened("online")) == "online"
    assert mode_of(opened("offline")) == "offline"


def test_the_nearer_settings_file_counts() -> None:
    write(GLOBAL, "mode = offline")
    write(LOCAL, "mode = online")
    assert mode_of(opened()) == "online"


@pytest.mark.parametrize(
    ("variables", "mode"),
    [
        ({"WANDB_DISABLED": "true"}, "disabled"),
        ({"WANDB_DISABLED": "1", "WANDB_MODE": "online"}, "disabled"),
        ({"WANDB_DISABLED": "false"}, "online"),
        ({"WANDB_DISABLED": ""}, "online"),
        ({"WANDB_MODE": "disabled"}, "disabled"),
        ({"WANDB_MODE": "offline"}, "offline"),
    ],
)
def test_a_variable_is_obeyed(variables: dict[str, str], mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert mode_of(opened()) == mode


@pytest.mark.parametrize("variable", ["WANDB_CONFIG_DIR", "WANDB_DIR"])
def test_the_folder_of_settings_that_a_variable_names(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, str(Path("elsewhere").absolute()))
    write("elsewhere/settings" if variable == "WANDB_CONFIG_DIR" else "elsewhere/wandb/settings", "mode = offline")
    assert mode_of(opened()) == "offline"


@pytest.mark.parametrize("damage", ["link", "torn"])
def test_settings_that_cannot_be_read_mean_offline(damage: str) -> None:
    write(LOCAL, "mode = offline")
    if damage == "torn":
        Path(LOCAL).write_text("mode = offline\n")
    else:  # an error of the disk that also the administrator gets
        Path(LOCAL).unlink()
        Path(LOCAL).symlink_to(Path(LOCAL).absolute())
    found = opened()
    assert mode_of(found) == "offline"
    warning = found.finish(1)
    assert warning is not None
    assert f"its settings in {Path(LOCAL).absolute()} cannot be read" in warning


def test_settings_that_cannot_be_read_do_not_matter_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("NETRC", str(Path("netrc").absolute()))
    write(LOCAL)
    Path(LOCAL).write_text("torn")
    assert opened().finish(1) is None


@pytest.mark.parametrize("variable", [None, "of-the-variable"])
def test_the_project_of_wandb_init_counts(variable: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    write(LOCAL, "project = of-the-file", "entity = team")
    if variable:
        monkeypatch.setenv("WANDB_PROJECT", variable)
    found = opened()
    assert isinstance(found, Mirror)
    assert found._project == (variable or "of-the-file")


# As W&B's agents, launchers and shared runs set them for the one run that they started.
FOREIGN = {
    "WANDB_SERVICE": "3-1-tcp-localhost-1",
    "WANDB_RUN_ID": "theirs",
    "WANDB_RESUME": "must",
    "WANDB_SWEEP_ID": "sweep1",
    "WANDB_SWEEP_PARAM_PATH": "params.yaml",
    "WANDB_LAUNCH": "true",
    "WANDB_LAUNCH_CONFIG_PATH": "launch.json",
    "WANDB_LAUNCH_QUEUE_NAME": "queue",
    "WANDB_LAUNCH_FILE_OVERRIDES_0": "{}",
    "WANDB_CONFIG": '{"theirs": 1}',
    "WANDB_CONFIG_0": '{"theirs"',
    "WANDB_CONFIG_1": ": 1}",
    "WANDB_CONFIG_PATHS": "config.yaml",
    "WANDB_FORK_FROM": "theirs?_step=1",
    "WANDB_RUN_DIR": "/theirs",
    "WANDB_X_PRIMARY": "false",
    "WANDB__LABEL": "theirs",
    "WANDB_X_UPDATE_FINISH_STATE": "false",
    "WANDB_X_SKIP_TRANSACTION_LOG": "true",
}
KEPT = {"WANDB_API_KEY": KEY, "WANDB_ENTITY": "team", "WANDB_TAGS": "a,b", "WANDB_CONFIG_DIR": "x", "WANDB_DIR": "y", "HOME": "z"}


def test_variables_of_the_runs_of_others_are_removed() -> None:
    environment = {**FOREIGN, **KEPT}
    clean(environment)
    assert environment == KEPT


@pytest.mark.slow
def test_what_a_sweep_or_launch_sets_does_not_reach_our_runs(
    mirror: Callable[..., SubprocessObserver], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in FOREIGN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TRAINING_JOB_NAME", "sagemaker-job")
    write(GLOBAL, "run_id = theirs", "sweep_id = sweep1", "launch = true", "x_skip_transaction_log = true", "resume = must")
    observer = mirror("offline")
    replay(observer, study_of(2))
    runs = complete(observer, tmp_path)
    assert list(runs) == ["3f2a9c1b-t0000", "3f2a9c1b-t0001"]
    for run in runs.values():
        assert (run.group, run.project, run.sweep) == ("part2", "sp25-ds542-challenge", "")
        assert "theirs" not in run.config
        assert len(run.history) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lines", "mode", "rows"), [("mode = offline", "auto", 0), ("mode = disabled", "auto", 0), ("mode = offline", "online", 3)]
)
def test_rows_leave_this_machine_only_where_they_may(
    lines: str, mode: str, rows: int, mirror: Callable[..., SubprocessObserver], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(LOCAL, lines)
    with WandbServer() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        observer = mirror(mode)
        replay(observer, study_of(1))
        assert observer.finish(60) is None
    assert sum(map(len, server.rows.values())) == rows


def decided() -> dict[str, str]:
    """Pattern of a variable -> what is done with it, of the table of W&B in docs/variables.md."""
    text = (ROOT / "docs" / "variables.md").read_text()
    section = text[text.index("## Weights & Biases") :].split("\n## ")[0]
    rows = re.findall(r"^\| (.*?) \| (\w+) \|", section, re.MULTILINE)
    return {pattern: what for names, what in rows for pattern in re.findall(r"`(WANDB_[A-Z0-9_*]+)`", names)}


def decision(variable: str) -> set[str]:
    """What is done with this variable; the most exact patterns count."""
    fitting = {pattern: what for pattern, what in decided().items() if re.fullmatch(pattern.replace("*", ".*"), variable)}
    longest = max((len(pattern.replace("*", "")) for pattern in fitting), default=0)
    return {what for pattern, what in fitting.items() if len(pattern.replace("*", "")) == longest}


NAMES = {name for name in vars(wandb.env).values() if isinstance(name, str) and name.startswith("WANDB_")}
SETTINGS = sorted(type(wandb.Settings()).model_fields)


def test_every_setting_of_the_installed_wandb_is_decided_on() -> None:
    variables = sorted(NAMES | {f"WANDB_{name.upper()}" for name in SETTINGS})
    assert len(variables) > 150
    for variable in variables:
        decisions = decision(variable)
        assert len(decisions) == 1, f"{variable}: {decisions}"
        removed = setting_of(variable) in REMOVED or REMOVED_VARIABLES.fullmatch(variable)
        assert (decisions == {"removed"}) == bool(removed), variable


def test_all_that_is_removed_is_a_setting_of_the_installed_wandb() -> None:
    assert set(SETTINGS) >= REMOVED
