"""Variables with any text in them: a command obeys, ignores or refuses them, and says so in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import strategies as st

from orchestrator.errors import InvalidInput
from orchestrator.support.fault_injection import VARIABLE
from tests.generated_inputs.amounts import amounts, for_all
from tests.generated_inputs.conftest import QUIET, World
from tests.generated_inputs.mutations import TEXTS, changed_bytes, words
from tests.generated_inputs.plug_ins import DATASET, PLAN
from tests.generated_inputs.verdict import DATA, DISK, MISSING, SERVICE, USAGE, is_one_line, judged
from tests.helpers.image_folders import pictures
from tests.helpers.paths import ROOT

# Those of docs/variables.md that are read while a command works.
READ = (
    *("RAY_ADDRESS", "HOME", "TMPDIR", "COLUMNS", "XDG_STATE_HOME", "XDG_CACHE_HOME", "TORCH_HOME"),
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_THREAD_LIMIT", "OMP_WAIT_POLICY", "GLIBC_TUNABLES", "GOMP_SPINCOUNT"),
    *("MALLOC_MMAP_MAX_", "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "RANK", "WORLD_SIZE", "LOCAL_RANK", "OPTUNA_STORAGE"),
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "SLURM_CPUS_PER_TASK", "SLURM_JOB_ID", "LANG", "LC_ALL", "PYTHONPATH"),
    *("WANDB_MODE", "WANDB_DIR", "WANDB_PROJECT", "WANDB_API_KEY", "WANDB_BASE_URL"),
)
ADDRESSES = (
    *("sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:////nowhere/x.db", "sqlite+nothing:///x", "sqlite:///x?uri=true"),
    *(
        "sqlite:///file:x?uri=true",
        "sqlite:///file://[?uri=true",
        "sqlite:///file://host/x?uri=true&mode=memory",
        "sqlite:///x?mode=a&mode=b",
    ),
    *(
        "postgresql://",
        "postgresql://u:p@h:port/n",
        "postgresql://u:p@[h/n",
        "postgresql://u:p@h:99999999/n",
        "mysql://h/n",
        "oracle://h/n",
    ),
    *(
        "mssql+pyodbc://h/n",
        "x://",
        "://",
        "a://b@c@d/e",
        "sqlite:///%00",
        "sqlite:///\u00e9?x=\u2028",
        "sqlite:///x?plugin=nothing",
        "sqlite:///" + "x" * 5000,
    ),
)


@amounts(0, 100)
def test_a_variable_of_any_text_is_obeyed_or_ignored(
    examples: int, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = pictures(tmp_path / "photos", classes=2, images=5)
    runs, data = ("--runs", world.runs), ("--data-dir", world.data)
    commands: tuple[tuple[tuple[str | Path, ...], tuple[int, ...]], ...] = (
        (("status", PLAN, *runs), (0,)),
        (("leaderboard", PLAN, *runs), (0,)),
        (("status",), (0, DISK)),  # of the last runs folder that the state folder names
        (("study", PLAN, "--dry-run", "--trials", "9", *runs, *data, *QUIET), (0,)),
        (("study", "no-such-plan", "--trials", "9", *runs, *QUIET), (USAGE,)),
        (("train", world.recipe, "--workers", "2", "--runs", world.folder / "other", *data, *QUIET), (USAGE,)),
        (("train", "~/nowhere.json", "--runs", world.folder / "other", *QUIET), (USAGE, MISSING, DISK)),
        (("data", "verify", DATASET, *data), (0,)),
        (("data", "verify", f"folder:{root}?size=8", "--data-dir", tmp_path / "data"), (0,)),
        (("data", "verify", "resnet18-IMAGENET1K_V1", *data), (DATA, MISSING, DISK)),
    )

    def check(generated: tuple[str, str, tuple[tuple[str | Path, ...], tuple[int, ...]]]) -> None:
        name, value, (typed, codes) = generated
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            judged(capsys, world.folder, codes, *typed)

    for_all(st.tuples(st.sampled_from(READ), words(), st.sampled_from(commands)), check, examples)


@amounts(5, 60)
def test_an_address_of_a_database_is_accepted_or_refused(
    examples: int, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = (
        "study",
        PLAN,
        "--dry-run",
        "--study",
        "another",
        "--trials",
        "3",
        "--runs",
        world.runs,
        "--data-dir",
        world.data,
        *QUIET,
    )
    looking = ("status", PLAN, "--runs", world.runs)
    texts = st.sampled_from(ADDRESSES) | words()
    altered = (
        st.sampled_from(ADDRESSES).flatmap(lambda url: changed_bytes(url.encode())).map(lambda found: found.decode("latin-1"))
    )

    def check(value: str) -> None:
        with monkeypatch.context() as patch:
            patch.setenv("ORCHESTRATE_STORAGE", value.replace("\0", ""))
            result = judged(capsys, world.folder, (0, USAGE, SERVICE), *study)
            assert result.code == 0 or "--storage" in result.messages
            judged(capsys, world.folder, (0,), *looking)

    for_all(texts | altered, check, examples)


@amounts(0, 60)
def test_what_is_set_for_wandb_is_understood_or_refused(
    examples: int, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variables and the settings file that decide whether anything is sent."""
    from orchestrator.observers import wandb_switches  # here, because it imports wandb

    monkeypatch.chdir(tmp_path)
    file = tmp_path / "wandb" / "settings"
    file.parent.mkdir()
    monkeypatch.setattr(wandb_switches, "_settings_files", lambda: [file])
    sound = b"[default]\nmode = offline\nproject = mine\ndisabled = false\n"
    contents = changed_bytes(sound) | words().map(lambda text: f"[default]\nmode = {text}\n".encode("utf-8", "surrogateescape"))
    names = st.sampled_from(("WANDB_MODE", "WANDB_DISABLED", "WANDB_RUN_ID", "WANDB_CONFIG_0", "WANDB__X", "WANDB_"))

    def check(generated: tuple[bytes, str, str]) -> None:
        content, name, value = generated
        file.write_bytes(content)
        environment = {name: value, "PATH": ""}
        wandb_switches.clean(environment)
        assert environment.keys() <= {name, "PATH"}
        try:
            mode = wandb_switches.mode_asked(environment)
        except (InvalidInput, wandb_switches.UnreadableSettings):
            return
        assert mode in ("", "offline", "online", "disabled")

    for_all(st.tuples(contents, names, words() | st.sampled_from(TEXTS)), check, examples)


@amounts(0, 15)
def test_a_variable_that_is_read_at_the_start_ends_in_no_traceback(examples: int, world: World) -> None:
    """What Python itself reads is not ours: these are read by our own modules, and by libraries."""
    names = (VARIABLE, VARIABLE, "COLUMNS", "HOME", "TMPDIR", "LC_ALL", "LANG", "XDG_STATE_HOME", "PYTHONSAFEPATH")

    def check(generated: tuple[str, str]) -> None:
        name, value = generated
        command = [sys.executable, "-m", "orchestrator.cli", "status", PLAN, "--runs", str(world.runs)]
        found = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": str(ROOT), name: value},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert found.returncode == (USAGE if name == VARIABLE and value else 0), found.stderr
        assert "Traceback" not in found.stderr
        if found.returncode:
            assert found.stderr.startswith(f"error: {VARIABLE} must be")
            assert is_one_line(found.stderr)

    for_all(st.tuples(st.sampled_from(names), words()), check, examples)
