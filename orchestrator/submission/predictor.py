"""Loads the trained model of a run."""

from orchestrator import plugins
from orchestrator.contracts import Predictor
from orchestrator.errors import BadData, MissingInput
from orchestrator.plugin_errors import blame_plugin
from orchestrator.storage import checkpoint
from orchestrator.storage.run_folder import RunFolder
from orchestrator.support.disk_lookups import is_file


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
    trainer = content["recipe"]["trainer"]
    with blame_plugin(f"trainer {trainer!r}"):
        return plugins.trainer(trainer).restore(content["snapshot"], device)
