"""Conducting studies of the trainer `curve` inside a test, and reading what they left."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.engine.conductor import Conductor
from orchestrator.engine.dispatch import Dispatch
from orchestrator.engine.new_trials import NewTrials, TrialTemplate
from orchestrator.engine.recovery.watchdog import HANG_TIMEOUTS, HangTimeouts
from orchestrator.executors.base import Executor
from orchestrator.executors.in_process import InProcess
from orchestrator.jobs import Event, Job
from orchestrator.observers.base import Observer
from orchestrator.record import Epoch, Kind, Provenance, RunRecord
from orchestrator.scheduling.schedulers import scheduler
from orchestrator.sessions.open_study import OpenedStudy, Request, open_study
from orchestrator.stopping.rules import StoppingRule
from orchestrator.storage.archive import StudyArchive
from orchestrator.storage.queue import SettingQueue
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.clock import Clock, SystemClock


class PowerCut(BaseException):
    """The end of the conductor's process, as far as it can be had inside a test."""


class Interrupted:
    """The executor, until `after` events were heard; then the power is cut, and what was under way is lost."""

    workers = 1

    def __init__(self, tmp_path: Path, after: int) -> None:
        self._inner = InProcess(device="cpu", threads=1, data_folder=tmp_path / "data")
        self._left = after

    def start(self, job: Job, avoid: int | None = None) -> int:
        return self._inner.start(job, avoid)

    def grant(self, run_id: str, until_epoch: int) -> None:
        self._inner.grant(run_id, until_epoch)

    def stop(self, run_id: str, keep: bool = False) -> None:
        self._inner.stop(run_id, keep)

    def replace(self, worker: int) -> None:
        self._inner.replace(worker)

    def retire(self, worker: int) -> None:
        self._inner.retire(worker)

    def events(self, timeout: float) -> tuple[Event, ...]:
        events = tuple(self._inner.events(timeout))
        self._left -= len(events)
        if self._left <= 0:
            raise PowerCut
        return events

    def close(self) -> None:
        self._inner.close()


def opened(folder: Path, **request: Any) -> OpenedStudy:
    """The study `curves` below `folder`, opened as the command line would."""
    asked = Request(**{"plan": "curves", "trials": 12, **request})
    found = open_study(asked, RunsFolder(folder / "runs"), folder / "data", SystemClock(), lambda line: None)
    found.validate(lambda line: None)
    return found


def conductor_of(
    study: OpenedStudy,
    *,
    archive: StudyArchive,
    executor: Executor,
    clock: Clock,
    complete: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    say: Callable[[str], None],
    queue: SettingQueue | None = None,
    replicate: bool = False,
    rules: Sequence[StoppingRule] = (),
    observers: Sequence[Observer] = (),
    checkpoint_share: float = 0.02,
    timeouts: HangTimeouts = HANG_TIMEOUTS,
) -> Conductor:
    """A conductor of this study, made as a session makes it."""
    options, plan = study.search.options, study.plan
    search = study.new_search()
    provenance = Provenance(study=study.file.uuid)
    template = TrialTemplate(plan=plan, seed=options.seed, complete=complete, provenance=provenance)
    return Conductor(
        archive=archive,
        new_trials=NewTrials(template, search=search, archive=archive, clock=clock, queue=queue, replicate=replicate),
        search=search,
        scheduler=scheduler(options.pruner, epochs=plan.epochs, direction=plan.metric.direction, seed=options.seed),
        dispatch=Dispatch(
            archive=archive,
            executor=executor,
            observers=observers,
            clock=clock,
            checkpoint_share=checkpoint_share,
            timeouts=timeouts,
        ),
        say=say,
        rules=rules,
    )


def conduct(
    folder: Path,
    trials: int,
    *,
    executor: Executor | None = None,
    observers: Sequence[Observer] = (),
    fixed: Mapping[int, Mapping[str, Any]] | None = None,
    say: Callable[[str], None] = lambda line: None,
    checkpoint_share: float = 0.02,
    replicate: bool = False,
    timeouts: HangTimeouts = HANG_TIMEOUTS,
    endings: Sequence[StoppingRule] = (),
    **request: Any,
) -> Sequence[RunRecord]:
    """Conduct it to `trials` trials; `fixed` gives trial number -> parameters that override what was sampled."""
    study = opened(folder, trials=trials, **request)
    counter = itertools.count()

    def complete(params: Mapping[str, Any]) -> Mapping[str, Any]:
        return study.complete({**params, **(fixed or {}).get(next(counter), {})})

    workers = executor or InProcess(device="cpu", threads=1, data_folder=folder / "data")
    study.folder.write(study.file)
    conductor = conductor_of(
        study,
        archive=study.folder,
        executor=workers,
        clock=SystemClock(),
        complete=complete,
        say=say,
        queue=SettingQueue(study.folder),
        replicate=replicate,
        rules=endings,
        observers=observers,
        checkpoint_share=checkpoint_share,
        timeouts=timeouts,
    )
    records = conductor.run(trials)
    if conductor.ended is not None:
        say(conductor.ended.reason)
    return records


def results(folder: StudyFolder) -> list[tuple[Any, ...]]:
    """What a study found, without what differs from session to session: times, attempts, hosts."""
    found = []
    for record in folder.runs(Kind.TRIAL):
        epochs = [without_time(epoch) for epoch in folder.folder(record).epochs()]
        found.append((record.number, record.status, record.recipe, record.best, record.reference, tuple(epochs)))
    return found


def without_time(epoch: Epoch) -> Epoch:
    """The epoch without the seconds that it took."""
    return replace(epoch, seconds=0.0)
