"""Loads the trained model of a run."""

from orchestrator import plugins
from orchestrator.contracts import Predictor
from orchestrator.errors import BadData, MissingInput
from orchestrator.recipe import Recipe
from orchestrator.storage import checkpoint
from orchestrator.storage.run_folder import RunFolder
from orchestrator.support.disk_lookups import is_file
from orchestrator.support.serialization import from_plain


def load_predictor(folder: RunFolder, device: str) -> Predictor:
    """The predictor of the run's best epoch. Raises MissingInput if its checkpoint was not kept, BadData, DiskError."""
    if not is_file(folder.best_checkpoint):
        raise MissingInput(
            f"there is no checkpoint {folder.best_checkpoint}: retrains, single runs and a study's best trials keep theirs"
        )
    try:
        content = checkpoint.read(folder.best_checkpoint)
    except BadData as error:
        raise BadData(f"{error}. Delete it and run the command that trained it again") from error
    if folder.has_record() and from_plain(Recipe, content["recipe"]) != folder.recorded().recipe:
        raise BadData(f"{folder.best_checkpoint} is of another run than {folder.record_file}; restore the one that belongs there")
    return plugins.trainer(content["recipe"]["trainer"]).restore(content["snapshot"], device)
