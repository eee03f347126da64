"""The full retrain of a run: from scratch, with a fresh seed, on training and confirmation images, the test set read once."""

from dataclasses import replace

from orchestrator.alone import begun
from orchestrator.errors import MissingInput
from orchestrator.recipe import Recipe
from orchestrator.record import Kind, Provenance, RunRecord, Status
from orchestrator.seeds import derive
from orchestrator.store import RunFolder, Store, StudyFolder, run_name


def best_trial(folder: StudyFolder) -> RunRecord:
    """The best COMPLETE trial of a study: a pruned one was never trained out.

    Raises MissingInput when there is none, InvalidInput for a folder of single runs.
    """
    folder.search("its runs are retrained one by one, with: orchestrate retrain RUN")
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


def prepared(folder: StudyFolder, source: RunRecord, epochs: int, provenance: Provenance) -> RunRecord:
    """The record of the retrain of `source` for so many epochs: the one that is there, or a new one.

    Its name is made of the trial's number and the recipe, so that no retrain ever overwrites another.
    """
    recipe = retrain_recipe(source, epochs)
    name = f"{run_name(source.run_id)}-{recipe.fingerprint()[:8]}"
    return begun(folder, Kind.RETRAIN, name) or RunRecord(
        run_id=folder.run_id(Kind.RETRAIN, name),
        kind=Kind.RETRAIN,
        number=source.number,
        recipe=recipe,
        metric=source.metric,
        reference=source.reference,
        provenance=provenance,
    )


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
