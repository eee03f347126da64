"""One run without a search: check its recipe, start a worker, train it to its end, and report."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, final

from orchestrator import plugins
from orchestrator.engine.active_run import Assignment, Update
from orchestrator.engine.dispatch import Dispatch
from orchestrator.errors import OrchestrateError
from orchestrator.executors.base import Executor
from orchestrator.hyperparameters import complete
from orchestrator.observers.base import Observer
from orchestrator.observers.in_training import MEASURED, InTraining
from orchestrator.observers.replay import replay
from orchestrator.plugin_errors import blame_plugin
from orchestrator.recipe import Recipe
from orchestrator.record import Kind, RunRecord, Status
from orchestrator.sessions.estimates.cpu_time import Work, slow_work
from orchestrator.sessions.fetch_data import ensure_data_set
from orchestrator.sessions.observers import observing, open_mirror
from orchestrator.sessions.resources import Resources, start_workers
from orchestrator.stopping.rules import StoppingRule, StopRequested, session_end
from orchestrator.storage.progress import reached_by
from orchestrator.storage.study_file import StudyFile
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.activity import doing
from orchestrator.support.clock import Clock, SystemClock
from orchestrator.support.durations import format_duration

Measure = Literal["none", "test"]


@final
class SingleRun:
    """Trains one run; the caller holds the study's lock."""

    def __init__(
        self,
        *,
        folder: StudyFolder,
        executor: Executor,
        observers: Sequence[Observer],
        clock: Clock,
        say: Callable[[str], None],
        stopping_rules: Sequence[StoppingRule] = (),
    ) -> None:
        self._say = say
        self._stopping_rules = stopping_rules
        self._dispatch = Dispatch(archive=folder, executor=executor, observers=observers, clock=clock)

    def run(self, record: RunRecord, measure: Measure) -> RunRecord:
        """Train `record` to its end, from its last checkpoint where there is one; PAUSED where a stopping rule came first.

        Raises OrchestrateError when it fails.
        """
        self._dispatch.start(record, Assignment(until_epoch=record.recipe.epochs, measure=measure, keep_last=True))
        said = False
        while True:
            for note in self._dispatch.notes():
                self._say(note)
            end = session_end(self._stopping_rules)
            if end is not None:
                if not said:
                    self._say(f"{end.reason}: {record.run_id} is suspended after its current epoch")
                said = True
                self._dispatch.suspend()
            for update in self._dispatch.wait(timeout=1.0):
                self._tell(update)
                if update.record.status is Status.PAUSED:
                    return update.record
                if update.record.status.finished:
                    return _succeeded(update.record)

    def _tell(self, update: Update) -> None:
        for note in update.notes:
            self._say(note)
        if update.measured:
            epoch, total = update.epochs[-1], update.record.recipe.epochs
            seconds = statistics.median(measured.seconds for measured in update.epochs[-MEASURED:]) * (total - epoch.number)
            left = f"  about {format_duration(max(seconds, 1))} left" if epoch.number < total else ""
            self._say(
                f"epoch {epoch.number}/{total}  train_loss {epoch.train_loss:.4f}  train_acc {epoch.train_acc:.4f}  "
                f"val_loss {epoch.val_loss:.4f}  val_acc {epoch.val_acc:.4f}  lr {epoch.lr:.2e}  {epoch.seconds:.1f} s{left}"
            )


def check_recipe(recipe: Recipe, data_folder: Path, say: Callable[[str], None]) -> Recipe:
    """The recipe with its trainer's defaults filled in, after checking that a run of it can begin.

    Its data set is fetched if it is missing. Raises UnknownName, InvalidInput, MissingInput or BadData.
    """
    info = plugins.dataset(recipe.dataset).info(data_folder)
    with blame_plugin(f"trainer {recipe.trainer!r}"):
        trainer = plugins.trainer(recipe.trainer)
        recipe = replace(recipe, params=complete(trainer.hyperparameters, recipe.params))
        trainer.check(recipe, info, data_folder)
    ensure_data_set(recipe.dataset, data_folder, say)
    return recipe


def find_record(folder: StudyFolder, kind: Kind, name: str) -> RunRecord | None:
    """The record of a run, if there is one. One that FAILED may be retried as often as a new one."""
    run = folder.run(kind, name)
    if not run.has_record():
        return None
    record = run.read()
    return replace(record, setbacks=()) if record.status is Status.FAILED else record


def train_run(
    record: RunRecord,
    measure: Measure,
    study: StudyFile,
    folder: StudyFolder,
    resources: Resources,
    say: Callable[[str], None],
) -> RunRecord:
    """Start a worker and train a run; the caller holds the study's lock. PAUSED where `orchestrate stop` asked for it.

    `study` is what study.json is to say. Raises OrchestrateError when the run fails.
    """
    left = record.recipe.epochs - record.epochs
    work = Work(recipe=record.recipe, runs=1, epochs=left, fewest_epochs=left)
    with (
        start_workers(resources, folder, say, expected=record.recipe, single=True) as workers,
        slow_work(work, resources, folder.runs()) as slow,
    ):
        folder.update(study)
        if (warning := slow.warning()) is not None:
            say(warning)
        copies, clock = open_mirror(study, folder, resources.mirror, resources.wandb), SystemClock()
        in_training = InTraining(clock)
        with observing(copies, say), doing(in_training.text):
            record = SingleRun(
                folder=folder,
                executor=workers,
                observers=[*copies, in_training],
                clock=clock,
                say=say,
                stopping_rules=[StopRequested(folder)],
            ).run(record, measure)
    if record.status is Status.PAUSED:
        folder.clear_stop_request()
        say(
            f"{record.run_id} is stopped after {record.epochs} of {record.recipe.epochs} epochs, as `orchestrate stop` asked; "
            "run the same command to resume"
        )
    return record


def complete_copies(
    record: RunRecord, study: StudyFile, folder: StudyFolder, resources: Resources, say: Callable[[str], None]
) -> None:
    """Copy what a command that was killed after the run's last record did not copy; a failure is only a warning.

    `study` is what study.json is to say.
    """
    folder.update(study)
    observers = open_mirror(study, folder, resources.mirror, resources.wandb)
    with observing(observers, say):
        for observer in observers:
            replay(observer, [(record, folder.folder(record).epochs())])


def result_line(record: RunRecord) -> str:
    """The result of a finished run, in one line."""
    parts = [f"{record.run_id}:"]
    if record.best is not None:
        parts.append(f"best {record.metric.name} {record.best.value:.4f}, {reached_by(record)},")
    if record.test is not None:
        parts.append(f"test_acc {record.test.acc:.4f}, test_loss {record.test.loss:.4f} on {record.test.images:,} images")
    return " ".join(parts).removesuffix(",")


def _succeeded(record: RunRecord) -> RunRecord:
    if record.status is Status.COMPLETE:
        return record
    failure = record.failure
    if failure is None:
        raise OrchestrateError(f"{record.run_id} is {record.status}; run the same command to try again")
    advice = "the recipe is the cause, so it would fail again" if failure.kind.of_setting else "run the same command to try again"
    raise OrchestrateError(f"{record.run_id} failed ({failure.kind}: {failure.message}); {advice}")
