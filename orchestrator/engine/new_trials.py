"""Makes the records of new trials: an enqueued setting, one that the search suggests, or a replicate."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, final

from orchestrator.contracts import StudyPlan
from orchestrator.engine.trials import Trials
from orchestrator.record import Kind, Provenance, RunRecord, Status
from orchestrator.search.optuna_study import OptunaStudy
from orchestrator.storage.archive import StudyArchive
from orchestrator.storage.queue import SettingQueue
from orchestrator.support.clock import Clock
from orchestrator.support.seeds import derive


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTemplate:
    """What all new trials of a session have in common.

    `complete` fills in a trainer's defaults; `seed` is the study's; `provenance` is that of a trial that has not started.
    """

    plan: StudyPlan
    seed: int
    complete: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    provenance: Provenance


@final
class NewTrials:
    """Chooses the setting of the next new trial.

    Settings in the `queue` come first. With `replicate`, a study that has tried every setting of its space trains them again
    with fresh seeds; without, it ends.
    """

    def __init__(
        self,
        template: TrialTemplate,
        *,
        search: OptunaStudy,
        archive: StudyArchive,
        clock: Clock,
        queue: SettingQueue | None = None,
        replicate: bool = False,
    ) -> None:
        self._template = template
        self._search = search
        self._archive = archive
        self._clock = clock
        self._queue = queue
        self._replicate = replicate

    @property
    def exhausted(self) -> bool:
        """Whether every setting was tried, and none is to be tried again."""
        return self._search.exhausted and not self._replicate

    def enqueued(self, trials: Trials) -> RunRecord | None:
        """A trial of the setting that was enqueued first. Raises BadData for one that cannot be tried."""
        if self._queue is None:
            return None
        for name in self._queue.names():
            if name not in trials.enqueued:
                given = self._queue.params(name)
                if why := self._search.refuses(given):
                    raise self._queue.damaged(name, why)
                return replace(self._trial(trials, given), enqueued=name)
            self._queue.remove(name)  # an earlier session was killed before it could
        return None

    def started(self, record: RunRecord) -> None:
        """Remove the setting of a trial that was recorded from the queue."""
        if self._queue is not None and record.enqueued is not None:
            self._queue.remove(record.enqueued)

    def next(self, trials: Trials) -> RunRecord | None:
        """A trial that Optuna or the plan's reference settings suggest, or a replicate where all was tried; None without one."""
        if not self._search.exhausted:
            return self._trial(trials)
        original = next_to_replicate(trials) if self._replicate else None
        return self._trial(trials, self._search.setting(original.number)) if original is not None else None

    def _trial(self, trials: Trials, given: Mapping[str, Any] = MappingProxyType({})) -> RunRecord:
        """The next trial, with the hyperparameters that are given."""
        number, template = trials.next_number, self._template
        sampled, reference = self._search.ask(number, given)
        recipe = replace(
            template.plan.recipe,
            epochs=template.plan.epochs,
            seed=derive(template.seed, "trial", number),
            params=template.complete({**template.plan.recipe.params, **sampled}),
        )
        original = trials.first_with(recipe.configuration())
        return RunRecord(
            run_id=self._archive.run_id(Kind.TRIAL, f"{number:04d}"),
            kind=Kind.TRIAL,
            number=number,
            recipe=recipe,
            metric=template.plan.metric,
            reference=reference,
            replicate_of=original.run_id if original is not None else None,
            provenance=replace(template.provenance, started=self._clock.now()),
        )


def next_to_replicate(trials: Iterable[RunRecord]) -> RunRecord | None:
    """The trial to train again with a fresh seed: of the settings that were trained least often, the best one's first trial.

    A setting that only ever failed would fail again and is left out; None where no other is left.
    """
    groups: dict[str, list[RunRecord]] = {}
    for record in sorted(trials, key=lambda record: record.number):
        groups.setdefault(record.recipe.configuration(), []).append(record)
    trained = [group for group in groups.values() if any(record.status is not Status.FAILED for record in group)]
    chosen = min(trained, key=lambda group: (len(group), min(map(RunRecord.order, group))), default=None)
    return chosen[0] if chosen is not None else None
