"""A whole session at a retrain: checked, locked, staffed, trained, submitted."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

from orchestrator import plugins
from orchestrator.crash_points import CrashPoint, reached
from orchestrator.endings import Stop
from orchestrator.fetching import ensure
from orchestrator.hyperparameters import complete
from orchestrator.machine import SystemClock, commit
from orchestrator.record import Provenance, RunRecord, Status
from orchestrator.retrain import Retraining, prepared
from orchestrator.staff import Workplace, executor, mirror, observing
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

    Raises OrchestrateError.
    """
    study, source = folder.read(), request.source
    epochs = request.epochs or int(study.plan_content["retrain_epochs"])
    ensure(source.recipe.dataset, workplace.data_folder, say)
    # What is missing for the submission is better known now than after hours of training.
    what = target(source.recipe.dataset, request.ood_folder, workplace.data_folder, partial=request.partial)
    trainer = plugins.trainer(source.recipe.trainer)
    suits = plugins.dataset(source.recipe.dataset).suits
    trainer.check(complete(trainer.hyperparameters, source.recipe.params), suits, workplace.data_folder)
    device = workplace.device_here()
    clock = SystemClock()
    commit_id, dirty = commit(Path.cwd())
    with folder.lock():
        provenance = Provenance(study=study.uuid, commit=commit_id, dirty=dirty, started=clock.now())
        record = prepared(folder, source, epochs, provenance)
        run = folder.folder(record)
        if record.status is Status.COMPLETE and run.best_checkpoint.is_file():
            say(f"{record.run_id} is trained already")
        else:
            begun = "carried on" if run.record_file.is_file() else "begun"
            say(f"retrain of {source.run_id} for {epochs} epochs {begun}; in {run.path}")
            with executor(workplace, folder, say, single=True) as workers:
                observers = mirror(study, folder, workplace.mirror)
                with observing(observers, say):
                    record = Retraining(
                        folder=folder, executor=workers, observers=observers, clock=clock, say=say, endings=[Stop(folder)]
                    ).run(record)
            if record.status is Status.PAUSED:
                folder.forget_stop()
                say(
                    f"{record.run_id} is stopped after {record.epochs} of {record.recipe.epochs} epochs, as `orchestrate stop` "
                    "asked; the same command carries on"
                )
                return record
        say(_result(record))
        reached(CrashPoint.RETRAINED)
        submit(run, record, what, workplace.data_folder, device, say)
    return record


def _result(record: RunRecord) -> str:
    parts = [f"{record.run_id}:"]
    if record.best is not None:
        parts.append(f"best {record.metric.name} {record.best.value:.4f} after epoch {record.best.epoch} of {record.epochs},")
    if record.test is not None:
        parts.append(f"test_acc {record.test.acc:.4f}, test_loss {record.test.loss:.4f} on {record.test.images:,} images")
    return " ".join(parts)
