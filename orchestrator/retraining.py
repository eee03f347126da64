"""A whole session at a retrain: checked, locked, trained, submitted."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

from orchestrator.alone import carry_out, checked, complete_copies, result
from orchestrator.crash_points import CrashPoint, reached
from orchestrator.machine import SystemClock, commit
from orchestrator.record import Provenance, RunRecord, Status
from orchestrator.retrain import prepared, retrain_recipe
from orchestrator.staff import Workplace
from orchestrator.store import StudyFolder
from orchestrator.submitting import submit, target


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainRequest:
    """Which run to train fully, and what to predict with it. None: as the plan has it, and where there are files."""

    source: RunRecord
    epochs: int | None = None
    ood_folder: Path | None = None
    partial: bool = False


def retrain(request: RetrainRequest, folder: StudyFolder, workplace: Workplace, say: Callable[[str], None]) -> RunRecord:
    """Retrain a run and write its submission, unless it is stopped; what was interrupted is carried on.

    A single run has no plan that says how long: it is trained for as many epochs as before. Raises OrchestrateError.
    """
    study, source = folder.read(), request.source
    epochs = request.epochs or int(study.plan_content.get("retrain_epochs", source.recipe.epochs))
    checked(retrain_recipe(source, epochs), workplace.data_folder, say)
    # What is missing for the submission is better known now than after hours of training.
    what = target(source.recipe.dataset, request.ood_folder, workplace.data_folder, partial=request.partial)
    device = workplace.device_here()
    commit_id, dirty = commit(Path.cwd())
    with folder.lock():
        provenance = Provenance(study=study.uuid, commit=commit_id, dirty=dirty, started=SystemClock().now())
        record = prepared(folder, source, epochs, provenance)
        run = folder.folder(record)
        if record.status is Status.COMPLETE and run.best_checkpoint.is_file():
            say(f"{record.run_id} is trained already")
            complete_copies(record, study, folder, workplace, say)
        else:
            how = "carried on" if run.begun() else "begun"
            say(f"retrain of {source.run_id} for {epochs} epochs {how}; in {run.path}")
            record = carry_out(record, "test", study, folder, workplace, say)
            if record.status is Status.PAUSED:
                return record
        say(result(record))
        reached(CrashPoint.RETRAINED)
        submit(run, record, what, workplace.data_folder, device, say)
    return record
