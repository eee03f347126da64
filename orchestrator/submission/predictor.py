"""From a run's folder to a model that predicts."""

from orchestrator import plugins
from orchestrator.contracts import Predictor
from orchestrator.errors import BadData, MissingInput
from orchestrator.storage import checkpoint
from orchestrator.storage.run_folder import RunFolder


def predictor(folder: RunFolder, device: str) -> Predictor:
    """The predictor of the run's best epoch. Raises MissingInput where the checkpoint was not kept, BadData where damaged."""
    if not folder.best_checkpoint.is_file():
        raise MissingInput(
            f"{folder.best_checkpoint} is not there: retrains, single runs and the best few trials of a study keep theirs"
        )
    try:
        content = checkpoint.read(folder.best_checkpoint)
    except BadData as error:
        raise BadData(f"{error}. Delete it: the command that trained a retrain or a single run writes it again") from error
    return plugins.trainer(content["recipe"]["trainer"]).restore(content["snapshot"], device)
