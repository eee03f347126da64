"""A dry run: what a study would do, without writing anything."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from orchestrator.contracts import Baseline
from orchestrator.engine.kept_checkpoints import BEST_KEPT
from orchestrator.executors.devices import DeviceAssignment
from orchestrator.record import Kind, Provenance, RunRecord, Status
from orchestrator.scheduling.optuna_pruners import warm_up
from orchestrator.search.samplers import STARTUP_SETTINGS
from orchestrator.sessions.estimates.trials import Estimate, Sizes, comparable_runs, estimate
from orchestrator.sessions.fetch_data import report_missing_data_set, unlabelled_note
from orchestrator.sessions.open_study import OpenedStudy, Request, open_study
from orchestrator.sessions.resources import Resources
from orchestrator.sessions.stopping_rules import budget
from orchestrator.stopping.budget import Afterwards
from orchestrator.storage.queue import SettingQueue
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_options import Limits
from orchestrator.support.clock import Clock, SystemClock
from orchestrator.support.disk_lookups import status
from orchestrator.support.durations import format_duration
from orchestrator.support.serialization import to_plain
from orchestrator.support.wording import several, short

_SHOWN_SETTINGS = 5


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a study would do."""

    opened: OpenedStudy
    assignment: DeviceAssignment
    left: int  # trials still to be finished
    resumed: tuple[str, ...]  # run_ids that are resumed first
    settings: tuple[dict[str, Any], ...]  # of the first new trials, as far as they do not depend on results that are to come
    expected: Estimate
    kept_back: Afterwards | None  # of a budget, for what follows the search, as measured so far
    unlabelled: str  # what becomes of the data set's images without classes; "" where it has none

    def plain(self) -> dict[str, Any]:
        """For --format json."""
        file, search = self.opened.file, self.opened.search
        return {
            "study": file.name,
            "folder": str(self.opened.folder.path),
            "plan_name": search.plan,
            "plan": to_plain(search.plan_content),
            "options": to_plain(search.options),
            "limits": to_plain(file.limits),
            "trials": search.trials,
            "left": self.left,
            "resumed": list(self.resumed),
            "misfits": {baseline.system: baseline.misfit for baseline in self._misfits()},
            "unlabelled": self.unlabelled,
            "settings": to_plain(self.settings),
            "workers": list(self.assignment.devices),
            "threads": self.assignment.threads,
            "expected": to_plain(self.expected),
            "kept_back": to_plain(self.kept_back),
            "time": self.expected.time(),
            "disk": self.expected.disk(),
            "budget": self._budget(),
        }

    def text(self) -> str:
        """For a person."""
        file, search = self.opened.file, self.opened.search
        options = search.options
        lines = [
            f"study      {file.name}, in {self.opened.folder.path}: {self.left} of {search.trials} trials are left",
            f"plan       {search.plan} on {options.dataset}: {several(options.epochs, 'epoch')} a trial, "
            f"sampler {options.sampler}, pruner {options.pruner}, seed {options.seed}",
            *([f"submission {self.unlabelled}"] if self.unlabelled else []),
            *(f"space      {name}: {distribution}" for name, distribution in self.opened.plan.space.items()),
            f"workers    {len(self.assignment.devices)} on {', '.join(dict.fromkeys(self.assignment.devices))}, "
            f"{self.assignment.threads} threads each",
            *(f"misfit     {baseline.system}: {baseline.misfit}" for baseline in self._misfits()),
            *(f"resumes    {run_id}" for run_id in self.resumed),
            *(f"then       {_shown(setting)}" for setting in self.settings),
            f"time       {self.expected.time()}",
            f"disk       {self.expected.disk()}",
        ]
        if budget := self._budget():
            lines.append(f"budget     {budget}")
        return "\n".join([*lines, "nothing was written"])

    def _misfits(self) -> list[Baseline]:
        """The reference settings that this plan does not try."""
        return [baseline for baseline in self.opened.plan.baselines if baseline.misfit]

    def _budget(self) -> str:
        """What becomes of the budget; "" where there is none."""
        seconds = self.opened.file.limits.budget
        if seconds is None:
            return ""
        kept = self.kept_back.describe() if self.kept_back is not None else "what to keep back of it is not measured yet"
        return f"{format_duration(seconds)}: {kept}"


def dry_run(request: Request, limits: Limits, resources: Resources, say: Callable[[str], None]) -> DryRun:
    """Plan a study without writing anything. Raises what a real session would raise before its first trial."""
    clock = SystemClock()
    store = RunsFolder(resources.runs)
    opened = open_study(request, store, resources.data_folder, clock, say)
    opened.validate(say, find_data=report_missing_data_set)
    if opened.note:
        say(opened.note)
    opened = replace(opened, file=replace(opened.file, limits=limits))
    assignment = resources.assignment()
    records = sorted(opened.folder.runs(Kind.TRIAL), key=lambda record: record.number)
    left = max(opened.search.trials - sum(record.status.finished for record in records), 0)
    resumed = [record.run_id for record in records if record.status is Status.RUNNING or record.suspended][:left]
    return DryRun(
        opened=opened,
        assignment=assignment,
        left=left,
        resumed=tuple(resumed),
        settings=_settings(opened, records, min(left - len(resumed), opened.search.trials - len(records), _SHOWN_SETTINGS)),
        expected=_expected(opened, store, records, left, assignment),
        kept_back=_kept_back(opened, records, clock),
        unlabelled=unlabelled_note(opened.search.options.dataset, opened.data_folder),
    )


def _settings(opened: OpenedStudy, records: Sequence[RunRecord], count: int) -> tuple[dict[str, Any], ...]:
    """The settings of the first new trials: the first one, and others as long as no result decides them."""
    options, plan = opened.search.options, opened.plan
    search = opened.new_search()
    for record in records:
        search.know(record, record.metric.objective_values(opened.folder.folder(record).epochs()))
    enqueued = SettingQueue(opened.folder)
    taken = {record.enqueued for record in records}
    waiting = []
    for name in enqueued.names():
        if name not in taken:
            if why := search.refuses(given := enqueued.params(name)):
                raise enqueued.damaged(name, why)
            waiting.append(given)
    number = max((record.number for record in records), default=-1) + 1
    found: list[dict[str, Any]] = []
    while len(found) < count and not search.exhausted:
        if found and number >= STARTUP_SETTINGS and options.sampler != "random":
            break
        sampled, _ = search.ask(number, waiting.pop(0) if waiting else {})
        found.append(sampled)
        recipe = replace(plan.recipe, params={**plan.recipe.params, **sampled})
        run_id = opened.folder.run_id(Kind.TRIAL, f"{number:04d}")
        provenance = Provenance(study=opened.file.uuid)
        search.know(RunRecord(run_id=run_id, kind=Kind.TRIAL, number=number, recipe=recipe, provenance=provenance), [])
        number += 1
    return tuple(found)


def _expected(
    opened: OpenedStudy, store: RunsFolder, records: Sequence[RunRecord], left: int, assignment: DeviceAssignment
) -> Estimate:
    """From this study's own trials where there are any, else from the runs of all studies."""
    options, trainer = opened.search.options, opened.plan.recipe.trainer
    measured = [(opened.folder, record) for record in comparable_runs(records, trainer, options.dataset)]
    if not measured:
        folders = [store.study(name) for name in store.studies()]
        measured = [(folder, record) for folder in folders for record in comparable_runs(folder.runs(), trainer, options.dataset)]
    sizes = []
    for folder, record in measured:
        run = folder.folder(record)
        sizes.append(Sizes(record=_bytes(run.record_file) + _bytes(run.epochs_file), checkpoint=_bytes(run.best_checkpoint)))
    return estimate(
        [record for _, record in measured],
        sizes,
        trials=left,
        epochs=options.epochs,
        fewest_epochs=options.epochs if options.pruner == "none" else min(warm_up(options.epochs), options.epochs),
        at_a_time=len(assignment.devices),
        devices=len(set(assignment.devices)),
        checkpoints=BEST_KEPT,
    )


def _kept_back(opened: OpenedStudy, records: Sequence[RunRecord], clock: Clock) -> Afterwards | None:
    rule = budget(opened, clock.elapsed(), clock)
    if rule is None:
        return None
    for record in records:
        rule.note(record)
    return rule.afterwards()


def _bytes(file: Path) -> int:
    found = status(file)
    return found.st_size if found is not None else 0


def _shown(setting: dict[str, Any]) -> str:
    return ", ".join(f"{name} {short(value)}" for name, value in setting.items())
