"""The start script for SLURM, with a stand-in for SLURM that starts what it is given on this machine: Ray is real."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from orchestrator.record import Kind
from orchestrator.storage.runs import RunsFolder
from tests.helpers.paths import PLUGINS, ROOT
from tests.helpers.subprocess_cli import wait_for

SCRIPT = ROOT / "docs" / "slurm" / "study.sbatch"

_SRUN = """#!/usr/bin/env bash
while [[ $1 == --* ]]; do shift; done
exec "$@"
"""
_SCONTROL = """#!/usr/bin/env bash
case $1 in
    show) printf 'node-a\\nnode-b\\n' ;;
    requeue) echo "$2" >> "$REQUEUED" ;;
esac
"""


def test_the_script_is_sound_bash() -> None:
    subprocess.run(["bash", "-n", SCRIPT], check=True)


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """The environment of a job of two nodes with a core each."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in (("srun", _SRUN), ("scontrol", _SCONTROL)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "REQUEUED": str(tmp_path / "requeued"),
        "RAY_TMPDIR": "/tmp",  # the user's own, of which only the job's part may be deleted
        "SLURM_CPUS_PER_TASK": "1",
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_JOB_NODELIST": "node-[a-b]",
    }


@pytest.mark.slow
def test_a_preempted_job_goes_back_into_the_queue_and_carries_on(tmp_path: Path, slurm: dict[str, str]) -> None:
    words = ["slow_curves", "--trials", "8", "--runs", str(tmp_path / "runs"), "--data-dir", str(tmp_path), "--mirror", "off"]
    command = ["bash", str(SCRIPT), *words]
    job = subprocess.Popen(command, cwd=PLUGINS, env=slurm, stderr=subprocess.PIPE, text=True)
    folder = RunsFolder(tmp_path / "runs").study("slow_curves")
    wait_for(lambda: job.poll() is not None or sum(record.status.finished for record in folder.runs()) >= 2, "two trials", 100.0)
    assert job.poll() is None
    nodes = [child for child in psutil.Process(job.pid).children(recursive=True) if child.name() == "raylet"]
    assert len(nodes) == 2
    job.send_signal(signal.SIGTERM)
    _, messages = job.communicate(timeout=60)
    assert job.returncode == 143, messages
    assert "terminated" in messages
    assert (tmp_path / "requeued").read_text() == f"{os.getpid()}\n"
    wait_for(lambda: not any(node.is_running() for node in nodes), "the end of the cluster", 20.0)
    again = subprocess.run(command, cwd=PLUGINS, env=slurm, capture_output=True, text=True, timeout=180, check=False)
    assert again.returncode == 0, again.stderr
    assert "resumed with" in again.stderr
    records = folder.runs(Kind.TRIAL)
    assert [record.number for record in records] == list(range(8))
    assert all(record.status.finished for record in records)
    assert (tmp_path / "requeued").read_text() == f"{os.getpid()}\n"
    assert Path(slurm["RAY_TMPDIR"]).exists()
    assert not Path(slurm["RAY_TMPDIR"], f"ray-{os.getpid()}").exists()
