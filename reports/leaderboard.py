"""The leaderboard: every run of one or several studies, the best first."""

import numpy as np
import pandas as pd

from orchestrator.contracts import Frames
from orchestrator.record import Kind, Status
from orchestrator.support.statistics import standard_error

# What the plans of this project sample; others are shown where the trials of a study differ in them.
_SAMPLED = ("batch_size", "learning_rate", "weight_decay", "label_smoothing", "dropout")
_PREFIX = "params."
_KINDS = [Kind.TRIAL, Kind.SINGLE, Kind.CONFIRM, Kind.RETRAIN]
_STATES = [Status.COMPLETE, Status.PRUNED, Status.PAUSED, Status.RUNNING, Status.FAILED]
_COMPARABLE = ["dataset", "metric", "direction", "rule"]


def report(frames: Frames) -> pd.DataFrame:
    """One row per run.

    Only runs on the same data set that are judged by the same metric are compared; they stand together. First among them
    are the trials, then single runs, confirmations, and at the end the retrains with their test accuracy. Within a kind,
    COMPLETE runs come first, then those PRUNED, PAUSED, RUNNING, FAILED. All are in the order of `RunRecord.order`: by the
    metric, then lower validation loss, then cheaper, then earlier.

    rank counts the COMPLETE trials, and apart from them the COMPLETE single runs: rank 1 is what `retrain-best` takes. The
    value of a pruned, paused or running trial is comparable, and shown, but it comes from less training than it was meant
    to have; a trial that was stopped never outranks one that was trained out. Confirmations and retrains repeat the
    setting of a run that has its own rank. Columns:

        rank study dataset run kind state      study and dataset only where there are several
        failure failure_message                its kind, and at the end of the row its message; only where a run failed
        best_METRIC best_val_acc test_acc      METRIC where it is not val_acc; the validation accuracy (a fraction) is of that
                                               same epoch, the test accuracy (a fraction) of retrains
        standard_error                         of best_val_acc, by the number of its images alone; how far apart runs must be
                                               for their order to be more than chance, `orchestrator.selection.uncertainty` says
        best_epoch epochs                      the epoch that counts; epochs recorded
        batch_size learning_rate weight_decay label_smoothing dropout, and others in which the trials of a study differ
        seconds                                of training and validation
        reference                              the reference system whose setting this is, or ""
        replicate_of                           the trial whose setting was trained again; only where one was
    """
    runs = _sorted(frames.runs)
    table = pd.DataFrame({"rank": _ranks(runs)})
    for name in ("study", "dataset"):
        if runs[name].nunique() > 1:
            table[name] = runs[name]
    table[["run", "kind", "state"]] = runs[["run", "kind", "status"]]
    if (runs["failure"] != "").any():
        table["failure"] = runs["failure"]
    for metric in runs["metric"].unique():
        table[f"best_{metric}"] = runs["best_value"].where(runs["metric"] == metric)
    table["best_val_acc"] = runs["best_val_acc"].where(runs["metric"] != "val_acc", runs["best_value"])
    table["standard_error"] = _standard_errors(table["best_val_acc"], runs["validation_images"])
    table[["test_acc", "best_epoch", "epochs"]] = runs[["test_acc", "best_epoch", "epochs"]]
    for name in _hyperparameters(runs):
        table[name] = runs[_PREFIX + name]
    table[["seconds", "reference"]] = runs[["seconds", "reference"]]
    if (runs["replicate_of"] != "").any():
        table["replicate_of"] = runs["replicate_of"]
    if "failure" in table:
        table["failure_message"] = runs["failure_message"]
    return table


def _sorted(runs: pd.DataFrame) -> pd.DataFrame:
    value = runs["best_value"]
    keys = pd.DataFrame(
        {
            "comparable": runs.groupby(_COMPARABLE, sort=False).ngroup(),
            "kind": runs["kind"].map(_KINDS.index),
            "state": runs["status"].map(_STATES.index),
            "value": value.where(runs["direction"] == "minimize", -value).fillna(np.inf),
            "val_loss": runs["best_val_loss"].replace(-np.inf, np.inf).fillna(np.inf),
            "seconds": runs["seconds"],
            "number": runs["number"],
            "run": runs["run"],
        }
    )
    return runs.loc[keys.sort_values(list(keys.columns), kind="stable").index].reset_index(drop=True)


def _ranks(runs: pd.DataFrame) -> "pd.Series[int]":
    ranked = (runs["status"] == Status.COMPLETE) & runs["kind"].isin([Kind.TRIAL, Kind.SINGLE])
    places = runs[ranked].groupby([*_COMPARABLE, "kind"]).cumcount() + 1
    return places.reindex(runs.index).astype("Int64")


def _standard_errors(accuracies: "pd.Series[float]", images: "pd.Series[int]") -> "pd.Series[float]":
    known = accuracies.notna() & images.notna()
    errors = [standard_error(acc, count) for acc, count in zip(accuracies[known], images[known], strict=True)]
    return pd.Series(errors, index=accuracies.index[known], dtype="float64").reindex(accuracies.index)


def _hyperparameters(runs: pd.DataFrame) -> list[str]:
    present = [column.removeprefix(_PREFIX) for column in runs.columns if column.startswith(_PREFIX)]
    trials = runs[runs["kind"] == Kind.TRIAL]
    varied = [name for name in present if (trials.groupby("study")[_PREFIX + name].nunique() > 1).any()]
    return [name for name in _SAMPLED if name in present] + [name for name in varied if name not in _SAMPLED]
