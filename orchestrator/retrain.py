"""The full retrain of a run: from scratch, with a fresh seed, on training and confirmation images, the test set read once."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import final

from orchestrator.contracts import Clock, Executor, Observer
from orchestrator.dispatch import Assignment, Dispatch, Update
from orchestrator.endings import Ending
from orchestrator.errors import MissingInput, OrchestrateError
from orchestrator.recipe import Recipe
from orchestrator.record import Kind, Provenance, RunRecord, Status
from orchestrator.seeds import derive
from orchestrator.store import RunFolder, Store, StudyFolder, run_name


def best_trial(folder: StudyFolder) -> RunRecord:
    """The best COMPLETE trial of a study: a pruned one was never trained out. Raises MissingInput when there is none."""
    complete = [record for record in folder.runs(Kind.TRIAL) if record.status is Status.COMPLETE]
    if not complete:
        raise MissingInput(
            f"study {folder.name!r} has no COMPLETE trial yet; run: orchestrate study PLAN --study {folder.name} --trials N"
        )
    return min(complete, key=RunRecord.order)


def retrain_recipe(source: RunRecord, epochs: int) -> Recipe:
    """The recipe of a retrain of `source`: the winner is fixed by now, so confirmation images may be trained on."""
    recipe = source.recipe
    return replace(
        recipe,
        epochs=epochs,
        seed=derive(recipe.seed, "retrain"),
        split=replace(recipe.split, train_on="train+confirmation"),
    )


@final
class Retraining:
    """Carries out one retrain; the caller holds the study's lock."""

    def __init__(
        self,
        *,
        folder: StudyFolder,
        executor: Executor,
        observers: Sequence[Observer],
        clock: Clock,
        say: Callable[[str], None],
        endings: Sequence[Ending] = (),
    ) -> None:
        self._say = say
        self._endings = endings
        self._dispatch = Dispatch(folder=folder, executor=executor, observers=observers, clock=clock)

    def run(self, record: RunRecord) -> RunRecord:
        """Train `record` to its end, from its last checkpoint where there is one; PAUSED where an ending came first.

        Raises OrchestrateError when it fails.
        """
        self._dispatch.start(record, Assignment(until_epoch=record.recipe.epochs, measure="test", keep_last=True))
        while True:
            if any(ending.end() is not None for ending in self._endings):
                self._dispatch.put_by()
            for update in self._dispatch.wait(timeout=1.0):
                self._tell(update)
                if update.record.status is Status.PAUSED:
                    return update.record
                if update.record.status.finished:
                    return _succeeded(update.record)

    def _tell(self, update: Update) -> None:
        for note in update.notes:
            self._say(note)
        if update.decide and update.epochs:
            epoch, total = update.epochs[-1], update.record.recipe.epochs
            self._say(
                f"epoch {epoch.number}/{total}  train_loss {epoch.train_loss:.4f}  train_acc {epoch.train_acc:.4f}  "
                f"val_loss {epoch.val_loss:.4f}  val_acc {epoch.val_acc:.4f}  lr {epoch.lr:.2e}  {epoch.seconds:.1f} s"
            )


def prepared(folder: StudyFolder, source: RunRecord, epochs: int, provenance: Provenance) -> RunRecord:
    """The record of the retrain of `source` for so many epochs: the one that is there, or a new one.

    Its name is made of the trial's number and the recipe, so that no retrain ever overwrites another.
    """
    recipe = retrain_recipe(source, epochs)
    name = f"{run_name(source.run_id)}-{recipe.fingerprint()[:8]}"
    run = folder.run(Kind.RETRAIN, name)
    if run.record_file.is_file():
        before = run.read()
        return replace(before, setbacks=()) if before.status is Status.FAILED else before  # asked again: all its retries again
    return RunRecord(
        run_id=folder.run_id(Kind.RETRAIN, name),
        kind=Kind.RETRAIN,
        number=source.number,
        recipe=recipe,
        metric=source.metric,
        reference=source.reference,
        provenance=provenance,
    )


def _succeeded(record: RunRecord) -> RunRecord:
    if record.status is Status.COMPLETE:
        return record
    reason = f"{record.failure.kind}: {record.failure.message}" if record.failure else str(record.status)
    raise OrchestrateError(f"{record.run_id} failed ({reason}); the same command tries again")


def newest_retrain(store: Store) -> RunFolder:
    """The retrain that was begun last, of all studies and of those that are COMPLETE. Raises MissingInput when there is none."""
    retrains = [
        (folder, record)
        for folder in map(store.study, store.studies())
        for record in folder.runs(Kind.RETRAIN)
        if record.status is Status.COMPLETE
    ]
    if not retrains:
        raise MissingInput(f"there is no finished retrain in {store.runs}; make one with: orchestrate retrain-best")
    folder, record = max(retrains, key=lambda found: found[1].provenance.started)
    return folder.folder(record)
