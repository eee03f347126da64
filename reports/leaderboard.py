"""The leaderboard: all runs of one or several studies, the best first."""

import numpy as np
import pandas as pd

from orchestrator.contracts import Frames
from orchestrator.record import INTERRUPTED, Kind, Status
from orchestrator.support.statistics import standard_error

_PREFIX = "params."
_KINDS = [Kind.TRIAL, Kind.SINGLE, Kind.CONFIRM, Kind.RETRAIN]
_STATES = [Status.COMPLETE, Status.PRUNED, Status.PAUSED, Status.RUNNING, INTERRUPTED, Status.FAILED]
_COMPARABLE = ["dataset", "metric", "direction", "rule"]


def report(frames: Frames) -> pd.DataFrame:
    """One row per run.

    Runs are compared if they share data set and metric; such runs are grouped. Within a group the trials come first, then single
    runs, confirmations, and last the retrains with their test accuracy. Within a kind the order of states is COMPLETE, PRUNED,
    PAUSED, RUNNING, INTERRUPTED, FAILED; within a state that of `RunRecord.order`: metric, lower validation loss, fewer seconds,
    lower number.

    `rank` counts the COMPLETE trials, and separately the COMPLETE single runs; `retrain-best` takes rank 1. A pruned, paused or
    running trial shows the value that it reached, and never precedes a COMPLETE one. Confirmations and retrains have no rank,
    because they repeat the setting of a ranked run. Columns:

        rank study dataset run kind state      study and dataset only where there are several
        failure failure_message                kind of failure, and in the last column its message; only where a run failed
        best_METRIC best_val_acc test_acc      METRIC where it is not val_acc; validation accuracy (a fraction) of the same epoch;
                                               test accuracy (a fraction) of retrains
        standard_error                         of best_val_acc, from its number of images alone; which differences are
                                               significant, `orchestrator.selection.uncertainty` says
        best_epoch epochs                      the epoch of best_METRIC; the number of recorded epochs
        NAME …                                 the hyperparameters that the studies search, in the order of their plans; then
                                               others in which the trials of a study, or the single runs of a folder, differ
        seconds                                of training and validation
        reference                              the reference system that has this setting, or ""
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
    for name in _hyperparameters(frames):
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
    ranks = runs[ranked].groupby([*_COMPARABLE, "kind"]).cumcount() + 1
    return ranks.reindex(runs.index).astype("Int64")


def _standard_errors(accuracies: "pd.Series[float]", images: "pd.Series[int]") -> "pd.Series[float]":
    known = accuracies.notna() & images.notna()
    errors = [standard_error(acc, count) for acc, count in zip(accuracies[known], images[known], strict=True)]
    return pd.Series(errors, index=accuracies.index[known], dtype="float64").reindex(accuracies.index)


def _hyperparameters(frames: Frames) -> list[str]:
    present = [column.removeprefix(_PREFIX) for column in frames.runs.columns if column.startswith(_PREFIX)]
    compared = frames.runs[frames.runs["kind"].isin([Kind.TRIAL, Kind.SINGLE])].groupby(["study", "kind"])
    varied = [name for name in present if (compared[_PREFIX + name].nunique() > 1).any()]
    return list(dict.fromkeys([name for name in frames.searched if name in present] + varied))
