"""Loads the trained model of a run, and what it was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from orchestrator import plugins
from orchestrator.contracts import Predictor
from orchestrator.data_identity import DataIdentity
from orchestrator.errors import BadData, MissingInput
from orchestrator.plugin_errors import blame_plugin
from orchestrator.recipe import Recipe
from orchestrator.record import RunRecord
from orchestrator.storage import checkpoint
from orchestrator.storage.run_folder import RunFolder
from orchestrator.submission.submission_file import names_in_table
from orchestrator.support.disk_lookups import content, is_file
from orchestrator.support.serialization import from_plain


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """What predicts with the weights of a run's best epoch, and the data that they were trained on."""

    predict: Predictor
    data: DataIdentity


def load_model(folder: RunFolder, record: RunRecord, device: str) -> TrainedModel:
    """The model of a run. Raises MissingInput if its checkpoint was not kept, BadData, DiskError."""
    found = _best_checkpoint(folder)
    return TrainedModel(predict=_predictor(found, device), data=_trained_on(folder, record, found))


def load_predictor(folder: RunFolder, device: str) -> Predictor:
    """What predicts with the weights of the run's best epoch. Raises as `load_model`."""
    return _predictor(_best_checkpoint(folder), device)


def trained_on(folder: RunFolder, record: RunRecord) -> DataIdentity:
    """The data that a run was trained on, as its checkpoint says. Raises as `load_model`."""
    return _trained_on(folder, record, _best_checkpoint(folder))


def known_data(folder: RunFolder, record: RunRecord) -> DataIdentity:
    """The same; where the checkpoint was not kept, what the record knows. Raises BadData or DiskError."""
    return trained_on(folder, record) if is_file(folder.best_checkpoint) else _trained_on(folder, record, {})


def _best_checkpoint(folder: RunFolder) -> dict[str, Any]:
    if not is_file(folder.best_checkpoint):
        raise MissingInput(
            f"there is no checkpoint {folder.best_checkpoint}: retrains, single runs and a study's best trials keep theirs"
        )
    try:
        found = checkpoint.read(folder.best_checkpoint)
    except BadData as error:
        raise BadData(f"{error}. Delete it and run the command that trained it again") from error
    if folder.has_record() and from_plain(Recipe, found["recipe"]) != folder.recorded().recipe:
        raise BadData(f"{folder.best_checkpoint} is of another run than {folder.record_file}; restore the one that belongs there")
    return found


def _predictor(found: Mapping[str, Any], device: str) -> Predictor:
    trainer = found["recipe"]["trainer"]
    with blame_plugin(f"trainer {trainer!r}"):
        return plugins.trainer(trainer).restore(found["snapshot"], device)


def _trained_on(folder: RunFolder, record: RunRecord, found: Mapping[str, Any]) -> DataIdentity:
    if "data" in found:
        return from_plain(DataIdentity, found["data"])
    return DataIdentity(  # what a version has left whose checkpoints did not say it
        dataset=record.recipe.dataset,
        digest=record.provenance.data_digest,
        classes=names_in_table(content(folder.classes) or b""),
        test_digest=record.test.digest if record.test is not None else "",
    )
