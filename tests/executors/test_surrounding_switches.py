"""Variables of OpenMP, torch, Ray, git and Python around a command: obeyed and recorded, or removed."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.executors.devices import assign_devices, worker_settings, worker_threads
from orchestrator.jobs import Began, Facts
from orchestrator.recipe import Recipe
from orchestrator.record import Provenance
from orchestrator.support.environment import commit, cores, remove_switches, switches
from orchestrator.support.serialization import from_plain, to_plain
from orchestrator.worker.runner import Runner
from tests.helpers.paths import PLUGINS, ROOT
from tests.observers.test_wandb_switches import decision
from tests.support.test_environment import git
from tests.worker.test_capabilities import job


@pytest.fixture(autouse=True)
def no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_THREAD_LIMIT", "OMP_WAIT_POLICY", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    for name in worker_settings(1):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "threads"),
    [
        ({}, 64),
        ({"OMP_NUM_THREADS": "4"}, 4),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"OMP_NUM_THREADS": " 4 "}, 4),
        ({"MKL_NUM_THREADS": "3"}, 3),
        ({"OMP_THREAD_LIMIT": "2", "OMP_NUM_THREADS": "8"}, 2),
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "1000"}, 64),
        ({"OMP_NUM_THREADS": "all"}, 64),
        ({"OMP_NUM_THREADS": "0"}, 64),
        ({"OMP_NUM_THREADS": ""}, 64),
    ],
)
def test_a_worker_has_no_more_threads_than_openmp_allows(
    variables: dict[str, str], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.executors.devices.cores", lambda: 64)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert worker_threads(1) == assign_devices("cpu", "1").threads == threads
    assert worker_threads(32) == min(threads, 2)
    assert worker_threads(200) == 1
    settings = worker_settings(worker_threads(1))
    assert settings["OMP_NUM_THREADS"] == settings["MKL_NUM_THREADS"] == str(threads)


@pytest.mark.parametrize(
    ("variable", "value", "left_out"),
    [
        ("OMP_WAIT_POLICY", "PASSIVE", {"GOMP_SPINCOUNT"}),
        ("OMP_WAIT_POLICY", "active", {"GOMP_SPINCOUNT"}),
        ("GLIBC_TUNABLES", "glibc.malloc.mmap_max=4", {"MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_"}),
        ("GLIBC_TUNABLES", "glibc.cpu.x86_ibt=off", set()),
        ("KMP_BLOCKTIME", "0", set()),
    ],
)
def test_what_the_user_decided_under_another_name_stands(
    variable: str, value: str, left_out: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = worker_settings(2)
    monkeypatch.setenv(variable, value)
    assert worker_settings(2) == {name: text for name, text in ours.items() if name not in left_out}
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    assert worker_settings(2)["GOMP_SPINCOUNT"] == "7"


REMOVED = {"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1", "NVIDIA_TF32_OVERRIDE": "1", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}


def test_variables_that_make_a_record_untrue_are_removed_before_torch_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REMOVED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    remove_switches()
    assert not REMOVED.keys() & os.environ.keys()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"


@pytest.mark.parametrize("module", ["orchestrator.executors.worker_process", "orchestrator.executors.ray_worker"])
def test_every_process_removes_them_before_it_imports_torch(module: str) -> None:
    text = (ROOT / f"{module.replace('.', '/')}.py").read_text()
    assert (
        0 < text.index("        remove_switches()" if "ray" in module else "    remove_switches()") < text.index("import torch")
    )
    program = f"import sys, {module}; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_variables_that_change_numbers_are_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(switches()):
        monkeypatch.delenv(name)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "")
    assert switches() == {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    monkeypatch.chdir(PLUGINS)
    recipe = Recipe(plan="p", trainer="curve", dataset="digits", epochs=1, seed=0)
    (began,) = Runner(device="cpu", threads=1, data_folder=tmp_path).start(job(tmp_path, recipe))
    assert isinstance(began, Began)
    assert dict(began.facts.switches) == switches()
    plain = to_plain(began.facts)
    del plain["switches"]
    assert dict(from_plain(Facts, plain).switches) == {}  # of a worker that does not say so
    assert from_plain(Provenance, {"study": "s"}).switches == {}
    assert from_plain(Provenance, to_plain(Provenance(study="s", switches=switches()))).switches == switches()


def test_the_commit_is_that_of_the_folder_also_within_a_hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("asked", "other"):
        (tmp_path / name).mkdir()
        git(tmp_path / name, "init", "-q")
        (tmp_path / name / "file").write_text(name)
        git(tmp_path / name, "add", ".")
        git(tmp_path / name, "commit", "-qm", name)
    head = git(tmp_path / "asked", "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other" / ".git" / "index"))
    assert commit(tmp_path / "asked") == (head, False)


def test_rays_files_lie_where_ray_tmpdir_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestrator.executors.ray_cluster import actor_variables, new_folder

    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "scratch" / "me"))
    assert new_folder().parent == tmp_path / "scratch" / "me"
    monkeypatch.setenv("RAY_TMPDIR", "")
    folder = new_folder()
    assert folder.parent.samefile(os.environ.get("TMPDIR", "/tmp"))
    folder.rmdir()
    assert actor_variables(2)["RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"] == "0"
    assert os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] == "0"


def test_the_slurm_script_deletes_only_the_folder_of_its_job(tmp_path: Path) -> None:
    script = (ROOT / "docs" / "slurm" / "study.sbatch").read_text()
    (line,) = re.findall(r"^export RAY_TMPDIR=.*$", script, re.MULTILINE)
    assert re.findall(r"rm -rf (\S+)", script) == ['"$RAY_TMPDIR"']
    for given, expected in (("", "/tmp/ray-77"), (str(tmp_path), f"{tmp_path}/ray-77")):
        environment = {"SLURM_JOB_ID": "77", **({"RAY_TMPDIR": given} if given else {})}
        command = ["bash", "-c", f'{line}\nprintf %s "$RAY_TMPDIR"']
        assert subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout == expected


def test_all_cores_without_a_limit() -> None:
    assert worker_threads(1) == cores()


TOOLS = "ORCHESTRATE|RAY|WANDB|OMP|MKL|GOMP|MALLOC|GLIBC|GIT|CUBLAS|DNNL|ONEDNN|ATEN|PYTORCH|TORCH|NVIDIA|XDG|SLURM"
VARIABLE = re.compile(rf"PYTHONPATH|(?!CUBLAS_STATUS)({TOOLS})_[A-Z0-9_]+")


def test_every_variable_that_is_read_has_a_row_in_the_table() -> None:
    named = set(re.findall(r"\$\{?(SLURM_[A-Z_]+|RAY_[A-Z_]+)", (ROOT / "docs" / "slurm" / "study.sbatch").read_text()))
    for package in ("orchestrator", "trainers", "reports", "search_spaces"):
        for file in (ROOT / package).rglob("*.py"):
            constants = (node.value for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant))
            named |= {text for text in constants if isinstance(text, str) and VARIABLE.fullmatch(text)}
    rows = "\n".join(re.findall(r"^\| (`.*?) \|", (ROOT / "docs" / "variables.md").read_text(), re.MULTILINE))
    assert {name for name in named if f"`{name}`" not in rows and not name.startswith("WANDB_")} == set()
    assert {name for name in named if name.startswith("WANDB_") and not decision(name)} == set()
    assert {"ORCHESTRATE_STORAGE", "RAY_ADDRESS", "OMP_NUM_THREADS", "WANDB_MODE", "GIT_DIR", "XDG_STATE_HOME"} <= named
