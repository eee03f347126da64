"""The names of all files and folders below a runs folder, which only the classes of this package use.

    RUNS/STUDY/study.json                    what the study is; study.lock beside it dies with its process
    RUNS/STUDY/enqueued/….json               settings that wait to be tried; `stop` beside it asks the session to end
    RUNS/STUDY/trials/0007/record.json       replaced atomically; its finished status is the commit
                           epochs.jsonl      one epoch a line, appended; a torn last line is dropped when read
                           last.pt best.pt   to resume, to predict
                           attempt-2/        while the run's second job may replace them
    RUNS/STUDY/retrain/0007-1a2b3c4d/        the same files, submission.csv, and the names in it: classes.csv, images.csv
    RUNS/train/single/resnet18-…-1a2b3c4d/   a run of a recipe without a search; study.json beside it has no search
    RUNS/optuna.db                           the published copy of all studies
    RUNS/.deleted-STUDY-1a2b3c4d/            what is left of a study while it is deleted

Only the conductor's process writes records and epochs; only the worker that holds the current attempt writes checkpoints.
A worker writes a checkpoint in its attempt's folder and renames it from there, so that taking that folder away fences it off
wherever it is stopped: there is no moment between looking whether it may and doing it.
"""

from typing import final

from orchestrator.record import Kind

FOLDERS = {Kind.TRIAL: "trials", Kind.CONFIRM: "confirm", Kind.RETRAIN: "retrain", Kind.SINGLE: "single"}


@final
class FileNames:
    """The names, each once."""

    study = "study.json"
    lock = "study.lock"
    enqueued = "enqueued"
    stop = "stop"
    logs = "logs"
    record = "record.json"
    epochs = "epochs.jsonl"
    last_checkpoint = "last.pt"
    best_checkpoint = "best.pt"
    submission = "submission.csv"
    classes = "classes.csv"
    images = "images.csv"
    attempt = "attempt-"  # and its number
    ended_attempt = "ended-"  # and something random
    published = "optuna.db"
    deleted = ".deleted-"  # and the name of a study whose files are being deleted, and something random
