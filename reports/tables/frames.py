"""The frames that every report is made from: one row per run, and one row per epoch, of any number of studies.

`runs`, in the order given; what a run does not have is missing (NaN, NaT, NA, or the text ""):

    study run kind number attempt setbacks     run as on the command line, "part2/trials/0007"; its trial's number; jobs
                                               started for it; how many of them were tried again
    micro_batch                                images that passed through the model at a time; 0: the whole batch
    status failure failure_message             RUNNING INTERRUPTED PAUSED COMPLETE PRUNED FAILED; why it failed
    metric direction rule                      how runs are compared
    best_value best_epoch best_val_loss        the metric's value, the epoch that it comes from, that epoch's loss in nats
    best_val_acc                               that epoch's validation accuracy, a fraction
    epochs seconds                             recorded so far; wall time of training and validation
    test_images test_loss test_acc             measured once, after a retrain
    reference                                  the reference system that has this setting, "004-P1"
    replicate_of                               the trial whose setting it trains again with another seed, "part2/trials/0007"
    plan trainer dataset recipe_epochs seed split_seed train_on        of its recipe
    params.NAME                                each hyperparameter; sequences and mixtures as JSON texts
    validation_images skipped_images           that val_acc was measured on; damaged files that were left out
    host device threads precision commit dirty started finished        its provenance; times in UTC

`epochs`, run by run: study, run, epoch (from 1), train_loss, train_acc, val_loss, val_acc, lr, seconds, and extra.NAME for each
further measurement. Losses are in nats, accuracies are fractions. The losses of single steps are left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from orchestrator.contracts import Frames
from orchestrator.record import Epoch, RunRecord
from orchestrator.support.serialization import canonical

_RUNS = {
    "study": "str",
    "run": "str",
    "kind": "str",
    "number": "int64",
    "attempt": "int64",
    "setbacks": "int64",
    "micro_batch": "int64",
    "status": "str",
    "failure": "str",
    "failure_message": "str",
    "metric": "str",
    "direction": "str",
    "rule": "str",
    "best_value": "float64",
    "best_epoch": "Int64",
    "best_val_loss": "float64",
    "best_val_acc": "float64",
    "epochs": "int64",
    "seconds": "float64",
    "test_images": "Int64",
    "test_loss": "float64",
    "test_acc": "float64",
    "reference": "str",
    "replicate_of": "str",
    "plan": "str",
    "trainer": "str",
    "dataset": "str",
    "recipe_epochs": "int64",
    "seed": "int64",
    "split_seed": "int64",
    "train_on": "str",
    "validation_images": "Int64",
    "skipped_images": "int64",
    "host": "str",
    "device": "str",
    "threads": "int64",
    "precision": "str",
    "commit": "str",
    "dirty": "bool",
    "started": "datetime64[us, UTC]",
    "finished": "datetime64[us, UTC]",
}

_EPOCHS = {
    "study": "str",
    "run": "str",
    "epoch": "int64",
    "train_loss": "float64",
    "train_acc": "float64",
    "val_loss": "float64",
    "val_acc": "float64",
    "lr": "float64",
    "seconds": "float64",
}

_MICROSECONDS = 1_000_000


def frames(
    runs: Iterable[tuple[str, RunRecord, Sequence[Epoch]]], searched: Iterable[str] = (), states: Sequence[str] | None = None
) -> Frames:
    """The frames of runs, each given as the name of its study, its record and its epochs.

    `searched` are the hyperparameters that the studies search; one that several studies search counts once. `states` are the
    runs' states as they are shown; None: as recorded.
    """
    run_rows: list[dict[str, Any]] = []
    param_rows: list[Mapping[str, Any]] = []
    epoch_rows: list[dict[str, Any]] = []
    extra_rows: list[Mapping[str, float]] = []
    for study, record, epochs in runs:
        run_rows.append(_run_row(study, record, epochs))
        param_rows.append(record.recipe.params)
        epoch_rows += [_epoch_row(study, record, epoch) for epoch in epochs]
        extra_rows += [epoch.extra for epoch in epochs]
    params = {f"params.{name}": _param_column([row.get(name) for row in param_rows]) for name in _names(param_rows)}
    extras = {f"extra.{name}": pd.Series([row.get(name) for row in extra_rows], dtype="float64") for name in _names(extra_rows)}
    for row, state in zip(run_rows, states, strict=True) if states is not None else ():
        row["status"] = state
    return Frames(
        runs=_frame(run_rows, _RUNS, params),
        epochs=_frame(epoch_rows, _EPOCHS, extras),
        searched=tuple(dict.fromkeys(searched)),
    )


def _frame(rows: Sequence[Mapping[str, Any]], types: Mapping[str, str], further: Mapping[str, "pd.Series[Any]"]) -> pd.DataFrame:
    columns = {name: pd.Series([row[name] for row in rows], dtype=kind) for name, kind in types.items()}
    return pd.DataFrame({**columns, **further})


def _names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """All keys, in the order in which they are first met."""
    return list(dict.fromkeys(name for row in rows for name in row))


def _param_column(values: list[Any]) -> "pd.Series[Any]":
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {bool}:
        return pd.Series(values, dtype="boolean")
    if kinds <= {int}:
        return pd.Series(values, dtype="Int64")
    if kinds <= {int, float}:
        return pd.Series(values, dtype="float64")
    return pd.Series([value if value is None or isinstance(value, str) else canonical(value) for value in values], dtype="str")


def _run_row(study: str, record: RunRecord, epochs: Sequence[Epoch]) -> dict[str, Any]:
    recipe, provenance, best, test = record.recipe, record.provenance, record.best, record.test
    measured = {epoch.number: epoch.val_acc for epoch in epochs}
    return {
        "study": study,
        "run": record.run_id,
        "kind": record.kind.value,
        "number": record.number,
        "attempt": record.attempt,
        "setbacks": len(record.setbacks),
        "micro_batch": record.micro_batch,
        "status": record.status.value,
        "failure": record.failure.kind.value if record.failure else "",
        "failure_message": record.failure.message if record.failure else "",
        "metric": record.metric.name,
        "direction": record.metric.direction,
        "rule": record.metric.rule,
        "best_value": best.value if best else None,
        "best_epoch": best.epoch if best else None,
        "best_val_loss": best.val_loss if best else None,
        "best_val_acc": measured.get(best.epoch) if best else None,
        "epochs": record.epochs,
        "seconds": record.seconds,
        "test_images": test.images if test else None,
        "test_loss": test.loss if test else None,
        "test_acc": test.acc if test else None,
        "reference": record.reference or "",
        "replicate_of": record.replicate_of or "",
        "plan": recipe.plan,
        "trainer": recipe.trainer,
        "dataset": recipe.dataset,
        "recipe_epochs": recipe.epochs,
        "seed": recipe.seed,
        "split_seed": recipe.split.seed,
        "train_on": recipe.split.train_on,
        "validation_images": provenance.validation_images or None,
        "skipped_images": provenance.skipped_images,
        "host": provenance.host,
        "device": provenance.device,
        "threads": provenance.threads,
        "precision": provenance.precision,
        "commit": provenance.commit,
        "dirty": provenance.dirty,
        "started": _time(provenance.started),
        "finished": _time(provenance.finished),
    }


def _epoch_row(study: str, record: RunRecord, epoch: Epoch) -> dict[str, Any]:
    return {
        "study": study,
        "run": record.run_id,
        "epoch": epoch.number,
        **{name: getattr(epoch, name) for name in _EPOCHS if name not in ("study", "run", "epoch")},
    }


def _time(seconds: float | None) -> pd.Timestamp | None:
    return None if seconds is None else pd.Timestamp(round(seconds * _MICROSECONDS), unit="us", tz="UTC")
