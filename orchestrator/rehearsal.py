"""A dry run: what a study would do, without a byte on the disk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from orchestrator.budget import Afterwards
from orchestrator.conductor import BEST_KEPT, worth
from orchestrator.contracts import Clock
from orchestrator.durations import spoken
from orchestrator.enqueued import Enqueued
from orchestrator.expectations import Expectation, Sizes, alike, expectation
from orchestrator.fetching import look
from orchestrator.limiting import budget
from orchestrator.limits import Limits
from orchestrator.machine import SystemClock, Workforce
from orchestrator.opening import OpenedStudy, Request, open_study
from orchestrator.plain import to_plain
from orchestrator.record import Kind, Provenance, RunRecord, Status
from orchestrator.search.pruners import warm_up
from orchestrator.search.samplers import STARTUP_SETTINGS
from orchestrator.search.study import Study
from orchestrator.staff import Workplace
from orchestrator.store import Store

_SHOWN_SETTINGS = 5


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What a study would do."""

    opened: OpenedStudy
    force: Workforce
    left: int  # trials still to be finished
    resumed: tuple[str, ...]  # run_ids that are taken up again first
    settings: tuple[dict[str, Any], ...]  # of the first new trials, as far as they do not depend on results that are to come
    expected: Expectation
    afterwards: Afterwards | None  # what a budget keeps back, as measured so far

    def plain(self) -> dict[str, Any]:
        """For --format json."""
        file = self.opened.file
        return {
            "study": file.name,
            "plan": to_plain(file.plan_content),
            "options": to_plain(file.options),
            "limits": to_plain(file.limits),
            "trials": file.trials,
            "left": self.left,
            "resumed": list(self.resumed),
            "settings": to_plain(self.settings),
            "workers": list(self.force.devices),
            "threads": self.force.threads,
            "expected": to_plain(self.expected),
            "kept_back": to_plain(self.afterwards),
        }

    def text(self) -> str:
        """For a person."""
        file, options = self.opened.file, self.opened.file.options
        lines = [
            f"study      {file.name}, in {self.opened.folder.path}: {self.left} of {file.trials} trials are to be done",
            f"plan       {file.plan} on {options.dataset}: {options.epochs} epochs a trial, sampler {options.sampler}, "
            f"pruner {options.pruner}, seed {options.seed}",
            *(f"space      {name}: {distribution}" for name, distribution in self.opened.plan.space.items()),
            f"workers    {len(self.force.devices)} on {', '.join(dict.fromkeys(self.force.devices))}, "
            f"{self.force.threads} threads each",
            *(f"goes on    with {run_id}" for run_id in self.resumed),
            *(f"then       {_shown(setting)}" for setting in self.settings),
            f"time       {self.expected.time()}",
            f"disk       {self.expected.disk()}",
        ]
        if file.limits.budget is not None:
            kept = self.afterwards.describe() if self.afterwards is not None else "what to keep back of it is not measured yet"
            lines.append(f"budget     {spoken(file.limits.budget)}: {kept}")
        return "\n".join([*lines, "nothing was written"])


def rehearse(request: Request, limits: Limits, workplace: Workplace, say: Callable[[str], None]) -> Rehearsal:
    """Find out all that can be known before a study runs. Raises what a real start would raise, and writes nothing."""
    clock = SystemClock()
    store = Store(workplace.runs)
    opened = open_study(request, store, workplace.data_folder, clock)
    opened.prove(workplace.data_folder, say, find_data=look)
    opened = replace(opened, file=replace(opened.file, limits=limits))
    force = workplace.workforce()
    records = sorted(opened.folder.runs(Kind.TRIAL), key=lambda record: record.number)
    left = max(opened.file.trials - sum(record.status.finished for record in records), 0)
    resumed = [record.run_id for record in records if record.status is Status.RUNNING or record.put_by][:left]
    return Rehearsal(
        opened=opened,
        force=force,
        left=left,
        resumed=tuple(resumed),
        settings=_settings(opened, records, min(left - len(resumed), opened.file.trials - len(records), _SHOWN_SETTINGS)),
        expected=_expected(opened, store, records, left, force),
        afterwards=_afterwards(opened, records, force, workplace.data_folder, clock),
    )


def _settings(opened: OpenedStudy, records: Sequence[RunRecord], count: int) -> tuple[dict[str, Any], ...]:
    """The settings of the first new trials: the first one, and others as long as no result decides them."""
    options, plan = opened.file.options, opened.plan
    search = Study(plan, seed=options.seed, sampler=options.sampler, pruner=options.pruner)
    for record in records:
        search.know(record, worth(record.metric, opened.folder.folder(record).epochs()))
    enqueued = Enqueued(opened.folder)
    taken = {record.enqueued for record in records}
    waiting = [enqueued.params(name) for name in enqueued.names() if name not in taken]
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


def _expected(opened: OpenedStudy, store: Store, records: Sequence[RunRecord], left: int, force: Workforce) -> Expectation:
    """From this study's own trials where there are any, else from the runs of all studies."""
    options, trainer = opened.file.options, opened.plan.recipe.trainer
    measured = [(opened.folder, record) for record in alike(records, trainer, options.dataset)]
    if not measured:
        folders = [store.study(name) for name in store.studies()]
        measured = [(folder, record) for folder in folders for record in alike(folder.runs(), trainer, options.dataset)]
    sizes = []
    for folder, record in measured:
        run = folder.folder(record)
        sizes.append(Sizes(record=_bytes(run.record_file) + _bytes(run.epochs_file), checkpoint=_bytes(run.best_checkpoint)))
    return expectation(
        [record for _, record in measured],
        sizes,
        trials=left,
        epochs=options.epochs,
        fewest_epochs=options.epochs if options.pruner == "none" else min(warm_up(options.epochs), options.epochs),
        at_a_time=len(force.devices),
        devices=len(set(force.devices)),
        checkpoints=BEST_KEPT,
    )


def _afterwards(
    opened: OpenedStudy, records: Sequence[RunRecord], force: Workforce, data_folder: Path, clock: Clock
) -> Afterwards | None:
    rule = budget(opened, clock.now(), len(force.devices), data_folder, clock)
    if rule is None:
        return None
    for record in records:
        rule.note(record)
    return rule.afterwards()


def _bytes(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def _shown(setting: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in setting.items())
