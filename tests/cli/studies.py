"""What tests of commands on studies share."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from orchestrator.storage.study_folder import StudyFolder
from tests.helpers import subprocess_cli
from tests.helpers.paths import PLUGINS

QUIET = ("--mirror", "off", "--executor", "in-process")
PLAN = (PLUGINS / "search_spaces" / "curves.py").read_text()

Refuse = Callable[..., str]


def wait_for_epochs(folder: StudyFolder, more: int) -> None:
    """Until so many more epochs are recorded."""

    def recorded() -> int:
        return sum(file.read_bytes().count(b"\n") for file in folder.path.glob("*/*/epochs.jsonl"))

    before = recorded()
    subprocess_cli.wait_for(lambda: recorded() >= before + more, "the next epochs")


def finished(folder: StudyFolder) -> int:
    return sum(record.status.finished for record in folder.runs())


def trial_lines(messages: str) -> list[str]:
    return [line for line in messages.splitlines() if re.match(r"\[\d+/\d+\] trial \d{4} ", line)]


def shell(command: str, folder: Path = PLUGINS, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell, in which `orchestrate` is the command."""
    script = f'orchestrate() {{ "{sys.executable}" -m orchestrator.cli "$@"; }}; set -o pipefail; {command}'
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "ORCHESTRATE_"))}
    return subprocess.run(
        ["bash", "-c", script],
        check=False,
        cwd=folder,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
