"""What a user, or a service of W&B, has set for W&B itself: what is obeyed, and what is removed (docs/variables.md).

W&B reads variables `WANDB_…` and two settings files. Its sweeps, its launcher and its agents set some of them for the one run
that they started. Our runs have ids, groups and a configuration of their own, so those are removed here.
"""

import configparser
import os
import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import wandb
from wandb.sdk import wandb_setup
from wandb.sdk.lib import wbauth

from orchestrator.errors import BadData, DiskError, InvalidInput
from orchestrator.support.disk_lookups import content

# W&B's settings that would make our runs those of somebody else, or keep rows from their files.
REMOVED = frozenset(
    {
        "allow_val_change",
        "capture_loggers",
        "config_paths",
        "fork_from",
        "job_name",
        "job_source",
        "launch",
        "launch_config_path",
        "resume",
        "resume_from",
        "resumed",
        "run_id",
        "stop_fn",
        "stop_on_fatal_error",
        "sweep_id",
        "sweep_param_path",
        "sync_tensorboard",
        "x_cli_only_mode",
        "x_files_dir",
        "x_history_value_encoding",
        "x_label",
        "x_primary",
        "x_runqueue_item_id",
        "x_server_side_derived_summary",
        "x_skip_transaction_log",
        "x_start_time",
        "x_sync",
        "x_sync_dir_suffix",
        "x_update_finish_state",
    }
)
# Variables that are no settings, and that W&B's library, its helper process or its service reads all the same.
REMOVED_VARIABLES = re.compile("WANDB_(CONFIG|CONFIG_[0-9]+|LAUNCH|LAUNCH_.*|RUN_DIR|RUN_STORAGE_ID|SERVICE)")
_TRUE = ("1", "true", "yes", "on", "y", "t")


class UnreadableSettings(Exception):
    """A settings file of W&B cannot be read, and it may forbid an upload."""


def setting_of(variable: str) -> str:
    """The setting that W&B takes a variable `WANDB_…` for."""
    own = {"WANDB_APP_URL": "app_url_override", "WANDB_SERVICE_TRANSPORT": "x_service_transport", "WANDB_DIR": "root_dir"}
    own |= {f"WANDB_{name}": f"run_{name.lower()}" for name in ("NAME", "NOTES", "TAGS", "JOB_TYPE")}
    own |= {"WANDB_HTTP_TIMEOUT": "x_graphql_timeout_seconds", "WANDB_FILE_PUSHER_TIMEOUT": "x_file_transfer_timeout_seconds"}
    own |= {"WANDB_USER_EMAIL": "email"}
    name = variable.removeprefix("WANDB_").lower()
    return own.get(variable, f"x{name}" if name.startswith("_") else name)


def clean(environment: MutableMapping[str, str]) -> None:
    """Remove from a process's own environment what belongs to the run of somebody else."""
    for name in list(environment):
        if name.startswith("WANDB_") and (setting_of(name) in REMOVED or REMOVED_VARIABLES.fullmatch(name)):
            del environment[name]


def settings() -> Any:
    """W&B's settings for all runs of this process, without what a settings file says of single runs."""
    found = wandb_setup.singleton().settings  # those that each wandb.init begins with
    fields = type(found).model_fields
    for name in REMOVED & fields.keys():
        setattr(found, name, fields[name].get_default(call_default_factory=True))
    return found


def mode_asked(environment: Mapping[str, str]) -> str:
    """What W&B's variables, or else its settings files, ask for: "offline", "online", "disabled", or "" where nothing is.

    Raises InvalidInput for a mode that is not supported here, UnreadableSettings for a file that may hold one.
    """
    if environment.get("WANDB_DISABLED", "").lower() in _TRUE:  # former versions of W&B, and other libraries, obey it
        return "disabled"
    if given := environment.get("WANDB_MODE"):
        return _known(given, f"WANDB_MODE={given!r}")
    mode = ""
    for file in _settings_files():
        for name, value in _in_file(file).items():
            if name == "mode":
                mode = _known(value, f"mode = {value} in {file}")
            elif name == "disabled" and value.lower() in _TRUE:  # as former versions of W&B wrote it
                mode = "disabled"
    return "" if mode == "online" else mode  # `wandb online` allows an upload, and needs a key


def has_key() -> bool:
    """Whether W&B could log in without asking; looked up on this machine only."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    found = settings()
    return bool(found.api_key or found.identity_token_file or wbauth.read_netrc_auth(host=found.base_url))


def _known(mode: str, said: str) -> str:
    match mode:
        case "offline" | "dryrun":
            return "offline"
        case "online" | "run":
            return "online"
        case "disabled":
            return "disabled"
    raise InvalidInput(f"{said} is not supported here: use offline, online or disabled")


def _settings_files() -> list[Path]:
    """W&B's settings files, the one that counts most last. `wandb offline` writes into the folder that WANDB_DIR names."""
    found = settings()
    workspace = wandb.Settings().settings_workspace
    return list(dict.fromkeys(map(Path, filter(None, (found.settings_system, workspace, found.settings_workspace)))))


def _in_file(file: Path) -> dict[str, str]:
    """What a settings file says, also where W&B would take none of it for the sake of one line. Raises UnreadableSettings."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string((content(file) or b"").decode())
        return dict(parser.items("default")) if parser.has_section("default") else {}
    except (DiskError, BadData, UnicodeDecodeError, configparser.Error) as error:
        reason = str(error).splitlines()[0]
        raise UnreadableSettings(f"its settings in {file} cannot be read ({reason})") from error
