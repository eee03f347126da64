"""Conducts hyperparameter studies of image classifiers, retrains the winner, and writes the submission.

From Python: `load(RUN)` gives the predictor of a run, `class_names(RUN)` the names of its classes, and `runs(DIR)` the frames
that the reports are made from.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator import own_packages

if TYPE_CHECKING:
    from orchestrator.contracts import Frames, Predictor

__all__ = ["class_names", "load", "runs"]

own_packages.install()  # before anything else of ours is imported, in every process


def load(run: str, *, runs_dir: str | Path = "runs", device: str = "cpu") -> "Predictor":
    """The predictor of a run, from its best checkpoint: "part2/trials/0007", "part2/7", "part2/retrain/0007-1a2b3c4d".

    Raises UnknownName, MissingInput where the checkpoint was not kept, or BadData where it is damaged.
    """
    from orchestrator.storage.runs import RunsFolder
    from orchestrator.submission.predictor import load_predictor

    _, folder = RunsFolder(Path(runs_dir)).find_run(run)
    return load_predictor(folder, device)


def class_names(run: str, *, runs_dir: str | Path = "runs") -> tuple[str, ...]:
    """The names of the classes that a run was trained on, in the order of the columns of what `load(run)` predicts.

    () where its data set names none. They come from the checkpoint, wherever the data set is by now. Raises as `load`.
    """
    from orchestrator.storage.runs import RunsFolder
    from orchestrator.submission.predictor import trained_on

    _, folder = RunsFolder(Path(runs_dir)).find_run(run)
    return trained_on(folder, folder.read()).classes


def runs(directory: str | Path = "runs", *studies: str) -> "Frames":
    """One row per run and one row per epoch, of these studies or of all."""
    from orchestrator.sessions.tables import frames
    from orchestrator.storage.runs import RunsFolder

    return frames(RunsFolder(Path(directory)), studies)
