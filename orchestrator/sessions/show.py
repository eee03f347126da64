"""All that is recorded of one run, as plain data: what `orchestrate show` prints, for programs as it is."""

import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import BadData
from orchestrator.record import Epoch, Failure, Metric, Provenance, RunRecord, Status
from orchestrator.storage.progress import shown_state, so_far
from orchestrator.storage.run_folder import RunFolder
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.disk_lookups import status
from orchestrator.support.names import NAME
from orchestrator.support.serialization import to_plain
from orchestrator.support.statistics import standard_error


def run_details(study: StudyFolder, run: RunFolder) -> dict[str, Any]:
    """What is known of a run. Accuracies are fractions, losses in nats, times seconds since 1970-01-01 UTC, sizes bytes.

    What is not finite is the text "nan", "inf" or "-inf"; paths are as the runs folder was given. Raises BadData, MissingInput
    or DiskError.
    """
    record, epochs, holder = run.read(), run.epochs(), study.holder()
    params = record.recipe.params
    searched = [name for name in _searched(study) if name in params]
    trained = holder is not None and holder.trains(record)
    return {
        "run": record.run_id,
        "study": study.name,
        "kind": record.kind.value,
        "number": record.number,
        "state": shown_state(record, holder),
        "suspended": record.suspended,
        "holder": to_plain(holder) if trained and record.status is Status.RUNNING else None,
        "reference": record.reference,
        "replicate_of": record.replicate_of,
        "enqueued": record.enqueued is not None,
        "setting": {name: to_plain(params[name]) for name in searched},
        "recipe": {
            **to_plain(record.recipe),
            "params": {name: to_plain(params[name]) for name in [*searched, *(name for name in params if name not in searched)]},
        },
        "metric": to_plain(record.metric),
        **_progress(record, epochs),
        "curve": [_point(epoch, record.metric) for epoch in epochs],
        "test": to_plain(record.test),
        "micro_batch": record.micro_batch,
        "attempt": record.attempt,
        "failure": _failure(record.failure, study) if record.failure is not None else None,
        "setbacks": [_failure(setback, study) for setback in record.setbacks],
        "provenance": to_plain(record.provenance),
        "files": list(_files(study, run, record)),
    }


def _searched(study: StudyFolder) -> Iterable[str]:
    """The names of the hyperparameters that the study searches, in the order of its plan."""
    search = study.read().search
    space = search.plan_content.get("space", {}) if search is not None else {}
    if not isinstance(space, Mapping):
        raise BadData(f"{study.study_file} is damaged (its space is no object); restore it from a backup")
    return space


def _progress(record: RunRecord, epochs: Sequence[Epoch]) -> dict[str, Any]:
    """How far it came."""
    record = so_far(record, epochs)
    best = record.best
    known = next((epoch for epoch in epochs if best is not None and epoch.number == best.epoch), None)
    return {
        "epochs": record.epochs,
        "of_epochs": record.recipe.epochs,
        "seconds": to_plain(record.seconds),
        "best": {
            **to_plain(best),
            "val_acc": to_plain(known.val_acc) if known is not None else None,
            "standard_error": _standard_error(known, record.provenance),
        }
        if best is not None
        else None,
    }


def _standard_error(best: Epoch | None, provenance: Provenance) -> float | None:
    """Of the validation accuracy of the best epoch."""
    known = best is not None and 0 <= best.val_acc <= 1 and provenance.validation_images > 0
    return standard_error(best.val_acc, provenance.validation_images) if best is not None and known else None


def _point(epoch: Epoch, metric: Metric) -> dict[str, Any]:
    """An epoch with its extra values, without the losses of its steps, and with the metric where that was not measured, too."""
    measured = {name: value for name, value in to_plain(epoch).items() if name not in ("number", "batch_losses", "extra")}
    others = {metric.name: to_plain(metric.of(epoch)), **to_plain(epoch.extra)}
    known = {"epoch": epoch.number, **measured}
    return known | {name: value for name, value in others.items() if name not in known}


def _failure(failure: Failure, study: StudyFolder) -> dict[str, Any]:
    """A failure; its log as a path, and None where it is not there (any more)."""
    log = study.logs / failure.log if NAME.fullmatch(failure.log) else None
    there = log is not None and status(log) is not None
    return {**to_plain(failure), "log": str(log) if there else None}


def _files(study: StudyFolder, run: RunFolder, record: RunRecord) -> Iterable[dict[str, Any]]:
    """What is on the disk of a run, by what it is for; `epoch` is the last one in a checkpoint."""
    last, best = record.last, record.best_checkpoint
    candidates: tuple[tuple[str, Path, int | None], ...] = (
        ("folder", run.path, None),
        ("record", run.record_file, None),
        ("epochs", run.epochs_file, None),
        ("checkpoint to resume from", run.last_checkpoint, last.epoch if last is not None else None),
        ("checkpoint to predict with", run.best_checkpoint, best.epoch if best is not None else None),
        ("submission", run.submission, None),
        ("names of classes", run.classes, None),
        ("names of images", run.images, None),
        ("logs of the study", study.logs, None),
    )
    for what, path, epoch in candidates:
        found = status(path)
        if found is not None:
            size = found.st_size if stat.S_ISREG(found.st_mode) else None
            yield {"what": what, "path": str(path), "bytes": size, "epoch": epoch}
