"""The W&B mirror: every run of a study as a W&B run, online or in files that `wandb sync` uploads later.

It is made for a process of its own (`orchestrator.observers.subprocess_observer`), where W&B may hang, crash or be missing.
"""

import contextlib
import hashlib
import importlib
import math
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, final

import wandb

from orchestrator.observers.base import Observer
from orchestrator.observers.wandb_switches import UnreadableSettings, clean, has_key, mode_asked, settings
from orchestrator.record import INTERRUPTED, Epoch, Kind, RunRecord, Status
from orchestrator.storage.settings import DEFAULT_PROJECT
from orchestrator.support.disk_lookups import folders_in, is_folder, is_link, names_in
from orchestrator.support.serialization import canonical, from_plain, to_plain

_LETTERS = {Kind.TRIAL: "t", Kind.CONFIRM: "c", Kind.RETRAIN: "r", Kind.SINGLE: "s"}
_COLUMNS = ("train_loss", "train_acc", "val_loss", "val_acc", "lr", "seconds")
# Written into a run's local folder once W&B has all of it: names the content, so that the same is never sent twice.
_COMPLETE = "mirrored.sha256"
# Exit codes of a W&B run: it shows 0 as finished and the others as failed; 255 is its own for an interrupted one.
_FAILED, _INTERRUPTED = 1, 255
_LOCAL_FOLDER = re.compile("(offline-)?run-[^-]*-(?P<id>.*)", re.DOTALL)
# Seconds; with the server down W&B asks for about twice as long.
_INIT_TIMEOUT = 15.0
_RUN_FINISH_TIMEOUT = 120.0

Mode = Literal["auto", "offline", "online"]
_WandbMode = Literal["offline", "online", "disabled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorConfiguration:
    """What the mirror needs to know. The entity comes from W&B's own variables and settings files."""

    study: str
    folder: str  # of the study; W&B makes its folder `wandb` in it
    mode: Mode = "auto"  # auto: as W&B was told, by variables or files; else online when a key is stored or set, else offline
    uuid: str = ""  # of the study; "" as its records have it
    copied_from: tuple[str, ...] = ()  # uuids of the studies that it is a copy of
    project: str = ""  # of the runs; "" as W&B's own settings say, else DEFAULT_PROJECT
    tags: tuple[str, ...] | None = None  # of the runs; None as W&B's own settings say


def open_mirror(configuration: Mapping[str, Any]) -> Observer:
    """The mirror that a plain MirrorConfiguration describes; one that does nothing where W&B is disabled.

    Removes what W&B must not inherit from the environment of this process. Raises InvalidInput for an unknown mode.
    """
    clean(os.environ)
    settled = from_plain(MirrorConfiguration, dict(configuration))
    mode, trouble = _mode(settled.mode)
    return Nothing() if mode == "disabled" else Mirror(settled, mode, trouble)


@final
class Nothing:
    """The Observer in the place of a mirror that W&B's own switch forbids: it writes and sends nothing."""

    note = "disabled"

    def opened(self, record: RunRecord, epochs: Sequence[Epoch]) -> None:
        """Nothing."""

    def measured(self, record: RunRecord, epoch: Epoch) -> None:
        """Nothing."""

    def closed(self, record: RunRecord) -> None:
        """Nothing."""

    def finish(self, timeout: float) -> str | None:  # noqa: ARG002 - nothing is left to do
        """Nothing is left to do."""
        return None


def wandb_id(record: RunRecord, uuid: str = "") -> str:
    """The W&B id of a run: "3f2a9c1b-t0007", "3f2a9c1b-r0007-9d0e1f2a". Unique by the study's uuid, not by its name.

    A study that is a copy has a uuid of its own, and records that may still name the former one.
    """
    study = (uuid or record.provenance.study).replace("-", "")
    if not re.fullmatch("[A-Za-z0-9]+", study):  # others have written the record, and the id is part of a folder's name
        study = hashlib.sha256(study.encode()).hexdigest()
    return f"{study[:8]}-{_short_name(record)}"


@dataclass(slots=True, kw_only=True)
class _Open:
    """A W&B run that is being written."""

    run: Any
    epochs: list[Epoch] = field(default_factory=list)
    first_step: int = 0  # the server has the steps before

    def log(self, epoch: Epoch) -> None:
        self.epochs.append(epoch)
        if epoch.number >= self.first_step:
            # commit, because a row with a given step is otherwise held back until the next one comes
            self.run.log(_row(epoch), step=epoch.number, commit=True)


@final
class Mirror:
    """The Observer that writes W&B runs.

    A run that is opened again is written again from its first epoch: offline its earlier folder is replaced,
    online the server gets the rows that it lacks. A finished run that W&B has whole already is left alone.
    """

    def __init__(self, configuration: MirrorConfiguration, mode: Literal["offline", "online"], trouble: str = "") -> None:
        """`trouble` is why the mode is "offline", where that is to be reported at the end."""
        self._study = configuration.study
        self._uuid = configuration.uuid
        self._copied_from = configuration.copied_from
        self._folder = Path(configuration.folder)
        self._mode = mode
        self._project = configuration.project or settings().project or DEFAULT_PROJECT
        self._tags = configuration.tags
        # Where W&B cannot write it goes to the system's temporary folder without an error; this raises one.
        (self._folder / "wandb").mkdir(parents=True, exist_ok=True)
        self._open: dict[str, _Open] = {}
        self._offline_because = trouble
        self._written: dict[str, Path] = {}  # the local folders of runs that this process has ended
        with contextlib.suppress(Exception):
            # The first run imports it, a third of a second: better now, while a worker still loads, than beside its training.
            importlib.import_module("wandb.sdk.launch")

    @property
    def note(self) -> str:
        """Where the runs are: "offline", in files for a later upload, "online", or "disabled", nowhere."""
        return self._mode

    def opened(self, record: RunRecord, epochs: Sequence[Epoch]) -> None:
        """Begin the W&B run, or begin it again, with all that is recorded."""
        earlier = self._open.pop(record.run_id, None)
        if earlier is not None:
            earlier.run.finish(exit_code=_INTERRUPTED)
        if self._is_complete(record, epochs):
            return
        self._remove_folders(record)
        run = self._begin(record)
        opened = _Open(run=run, first_step=run.starting_step)
        self._open[record.run_id] = opened
        for epoch in epochs:
            opened.log(epoch)
        run.summary.update(_summary(record))

    def measured(self, record: RunRecord, epoch: Epoch) -> None:
        """Log one row, with the epoch's number as its step."""
        opened = self._open.get(record.run_id)
        if opened is not None:
            opened.log(epoch)
            opened.run.summary.update(_summary(record))

    def closed(self, record: RunRecord) -> None:
        """Write the summary and end the W&B run. A paused run is ended too, and begun again when it is resumed."""
        opened = self._open.pop(record.run_id, None)
        if opened is not None:
            self._end(opened, record, _FAILED if record.status is Status.FAILED else 0)

    def finish(self, timeout: float) -> str | None:
        """End the W&B runs that are still open as interrupted; online this waits for their upload."""
        deadline = time.monotonic() + timeout
        while self._open:
            record_id, opened = self._open.popitem()
            opened.run.summary.update({"state": INTERRUPTED})
            self._written[record_id] = Path(opened.run.dir).parent
            opened.run.finish(exit_code=_INTERRUPTED)
            if self._open and time.monotonic() > deadline:
                return f"{len(self._open)} runs are not ended"
        lost = sum(not is_folder(folder) for folder in self._written.values()) if self._mode == "offline" else 0
        if lost:
            return f"the files of {lost} runs were deleted while it was written"
        if self._offline_because:
            return f"W&B could not be used online ({self._offline_because}), so runs were written for a later upload"
        return None

    def _begin(self, record: RunRecord) -> Any:
        try:
            return self._init(record)
        except wandb.Error as error:
            if self._mode != "online":
                raise
            # Every further attempt would cost as long as this one did, so the rest of the session is offline.
            self._offline_because = str(error).splitlines()[0]
            self._mode = "offline"
            self._remove_folders(record)
            return self._init(record)

    def _init(self, record: RunRecord) -> Any:
        return wandb.init(
            project=self._project,
            tags=self._tags,
            group=self._study,
            job_type=record.kind.value,
            id=wandb_id(record, self._uuid),
            name=f"{self._study}-{_short_name(record)}",
            config=_config(record),
            dir=str(self._folder),
            mode=self._mode,
            resume="allow" if self._mode == "online" else None,
            reinit="create_new",  # several runs are open at a time
            settings=wandb.Settings(
                sagemaker_disable=True,  # it would give each run the id of its own job
                console="off",
                silent=True,
                disable_git=True,
                disable_code=True,
                save_code=False,
                use_dot_wandb=False,
                x_disable_stats=True,
                x_disable_meta=True,
                x_save_requirements=False,  # reads every installed package anew for each run: four fifths of a run's cost
                init_timeout=_INIT_TIMEOUT,
                finish_timeout=_RUN_FINISH_TIMEOUT,
                finish_timeout_raises=True,
                x_transaction_log_flush_interval=0.5,  # seconds; by default a kill loses the last 15
            ),
        )

    def _end(self, opened: _Open, record: RunRecord, exit_code: int) -> None:
        folder = self._finish(opened, record, exit_code)
        if self._mode == "offline" and not is_folder(folder) and is_folder(self._folder):
            print(f"{folder} was deleted: the run is written again", flush=True)
            (self._folder / "wandb").mkdir(exist_ok=True)
            again = _Open(run=self._begin(record))
            for epoch in opened.epochs:
                again.log(epoch)
            folder = self._finish(again, record, exit_code)
        self._written[record.run_id] = folder
        if record.status.finished and is_folder(folder):
            (folder / _COMPLETE).write_text(self._content(record, opened.epochs))

    def _finish(self, opened: _Open, record: RunRecord, exit_code: int) -> Path:
        """Write what is known at the run's end. Returns its local folder."""
        opened.run.config.update(_config(record), allow_val_change=True)
        opened.run.summary.update(_summary(record))
        folder = Path(opened.run.dir).parent
        opened.run.finish(exit_code=exit_code)
        return folder

    def _folders(self, record: RunRecord, *uuids: str) -> list[Path]:
        """The local folders of this W&B run, `run-TIME-ID` and `offline-run-TIME-ID`; with `uuids` those of other studies."""
        wandb, ids = self._folder / "wandb", {wandb_id(record, uuid) for uuid in uuids or (self._uuid,)}
        found = {path: _LOCAL_FOLDER.fullmatch(path.name) for path in folders_in(wandb) if not is_link(path)}
        return [path for path, parts in found.items() if parts is not None and parts["id"] in ids]

    def _is_complete(self, record: RunRecord, epochs: Sequence[Epoch]) -> bool:
        content = self._content(record, epochs)
        for folder in self._folders(record):
            with contextlib.suppress(OSError):
                if (folder / _COMPLETE).read_text() == content and self._counts(folder):
                    return True
        return False

    def _content(self, record: RunRecord, epochs: Sequence[Epoch]) -> str:
        """The digest of all that the W&B run is to hold. In another project, or with other tags, it is another run."""
        place = {} if self._project == DEFAULT_PROJECT and self._tags is None else {"project": self._project, "tags": self._tags}
        return hashlib.sha256(canonical([record, *epochs, *([place] if place else [])]).encode()).hexdigest()

    def _counts(self, folder: Path) -> bool:
        """Whether a complete folder means that nothing is to do: offline any does, online one that was uploaded."""
        uploaded = not folder.name.startswith("offline-") or any(name.endswith(".wandb.synced") for name in names_in(folder))
        return self._mode != "online" or uploaded

    def _remove_folders(self, record: RunRecord) -> None:
        """Also those that came along when the study was copied: uploaded from here they would be mixed with the original's."""
        for folder in self._folders(record, self._uuid, *self._copied_from):
            shutil.rmtree(folder, ignore_errors=True)


def _short_name(record: RunRecord) -> str:
    number = f"{_LETTERS[record.kind]}{record.number:04d}"
    return number if record.kind is Kind.TRIAL else f"{number}-{record.recipe.fingerprint()[:8]}"


def _mode(wanted: Mode) -> tuple[_WandbMode, str]:
    """The mode of W&B's runs, and why they are offline where that is for a trouble. Raises InvalidInput."""
    if wanted != "auto":
        return wanted, ""
    try:
        asked = mode_asked(os.environ)
    except UnreadableSettings as error:
        return "offline", str(error) if has_key() else ""
    return cast(_WandbMode, asked or ("online" if has_key() else "offline")), ""


def _row(epoch: Epoch) -> dict[str, float]:
    """The epoch's columns, and what its trainer measured besides; `extra.` tells an extra from a column of the same name."""
    row = {"epoch": epoch.number, **{name: getattr(epoch, name) for name in _COLUMNS}}
    return row | {f"extra.{name}" if name in row else name: value for name, value in epoch.extra.items()}


def _config(record: RunRecord) -> dict[str, Any]:
    """The recipe's fields, nested as in the record, and where the run's numbers come from."""
    return {
        **to_plain(record.recipe),
        "run_id": record.run_id,
        "reference": record.reference,
        "replicate_of": record.replicate_of,
        "metric": to_plain(record.metric),
        "provenance": to_plain(record.provenance),
    }


def _summary(record: RunRecord) -> dict[str, Any]:
    """The run's best epoch and how it ended. Seconds are those of training and validation; losses are in nats."""
    summary: dict[str, Any] = {"state": record.status.value, "epochs": record.epochs, "seconds": record.seconds}
    if record.best is not None:
        summary |= {f"best_{record.metric.name}": record.best.value, "best_epoch": record.best.epoch}
        if record.metric.name != "val_loss" and math.isfinite(record.best.val_loss):
            summary["best_epoch_val_loss"] = record.best.val_loss
    if record.failure is not None:
        summary |= {"failure_kind": record.failure.kind.value, "failure_message": record.failure.message}
    if record.test is not None:
        summary |= {"test_loss": record.test.loss, "test_acc": record.test.acc}
    return summary
