"""Conducts hyperparameter studies of image classifiers, retrains the winner, and writes the submission.

From Python: `study(PLAN, …)` does what the command `orchestrate study` does, `load(RUN)` gives the predictor of a run,
`class_names(RUN)` the names of its classes, and `runs(DIR)` the frames that the reports are made from.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator import own_packages

if TYPE_CHECKING:
    from orchestrator.contracts import Frames, Predictor
    from orchestrator.sessions.outcome import StudyOutcome
    from orchestrator.storage.runs import RunsFolder

__all__ = ["class_names", "load", "runs", "study"]

own_packages.install()  # before anything else of ours is imported, in every process


def study(
    plan: str | Path,
    *,
    trials: int | None = None,
    study: str | None = None,
    dataset: str | None = None,
    skip_damaged: bool | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    pruner: str | None = None,
    sampler: str | None = None,
    budget: str | float | None = None,
    patience: int | None = None,
    replicate: bool | None = None,
    dry_run: bool | None = None,
    storage: str | None = None,
    mirror: str | None = None,
    device: str | None = None,
    workers: str | int | None = None,
    workers_per_device: str | int | None = None,
    executor: str | None = None,
    ray_address: str | None = None,
    data_dir: str | Path | None = None,
    runs: str | Path | None = None,
    say: Callable[[str], None] | None = None,
) -> "StudyOutcome":
    """Search for the best hyperparameters of a plan, as `orchestrate study PLAN` does, and tell what was found.

    The options are those of the command, which `orchestrate study --help` explains, with its checks, its defaults and its
    settings files. None leaves one out. A `budget` that is a number is in seconds. `dry_run` writes nothing; the outcome's
    `planned` is then the plan of the session.

    Messages go to stderr, as the command's do, or line by line to `say`, sometimes from another thread. Plug-ins of the working
    directory are read as they are now. Signal handlers, the environment and the working directory are afterwards what they were.

    Raises what the command reports: OrchestrateError and its kinds (`orchestrator.errors`). Where every trial failed nothing is
    raised, and `exit_code` is 1. Ctrl-C suspends the study and then raises KeyboardInterrupt; the same call resumes it.
    """
    options = {name: value for name, value in locals().items() if name not in ("plan", "say")}  # before there are other names
    from orchestrator.cli import from_python

    return from_python.study(plan, options, say)


def load(run: str, *, runs_dir: str | Path | None = None, device: str = "cpu") -> "Predictor":
    """The predictor of a run, from its best checkpoint: "part2/trials/0007", "part2/7", "part2/retrain/0007-1a2b3c4d".

    Where `runs_dir` is left out, the runs folder is that of a command without `--runs`.
    Raises UnknownName, MissingInput where the checkpoint was not kept, or BadData where it is damaged.
    """
    from orchestrator.submission.predictor import load_predictor

    _, folder = _runs_folder(runs_dir).find_run(run)
    return load_predictor(folder, device)


def class_names(run: str, *, runs_dir: str | Path | None = None) -> tuple[str, ...]:
    """The names of the classes that a run was trained on, in the order of the columns of what `load(run)` predicts.

    () where its data set names none. They come from the checkpoint, wherever the data set is by now. Raises as `load`.
    """
    from orchestrator.submission.predictor import trained_on

    _, folder = _runs_folder(runs_dir).find_run(run)
    return trained_on(folder, folder.read()).classes


def runs(directory: str | Path | None = None, *studies: str) -> "Frames":
    """One row per run and one row per epoch, of these studies or of all. The runs folder is settled as for `load`.

    Raises MissingInput where `directory` is not there, and what the commands raise for damaged files.
    """
    from orchestrator.errors import MissingInput
    from orchestrator.sessions.tables import frames
    from orchestrator.support.disk_lookups import is_folder

    if directory is not None and not is_folder(Path(directory).expanduser()):
        raise MissingInput(f"there is no runs folder {directory}")
    return frames(_runs_folder(directory), studies)


def _runs_folder(given: str | Path | None) -> "RunsFolder":
    from orchestrator.storage.remembered_folders import last_runs_folder
    from orchestrator.storage.runs import RunsFolder

    return RunsFolder(last_runs_folder(Path(given).expanduser() if given is not None else None))
