"""One simulated study: which configurations it may try, how it runs, and what came of it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np

from benchmarks.replay.curves import LearningCurves
from benchmarks.replay.memory import MemoryStudy
from benchmarks.replay.plans import Nearest, drawn, sampled
from benchmarks.replay.pruners import pruner
from benchmarks.replay.simulation import SimulatedClock, SimulatedExecutor
from orchestrator.engine.conductor import Conductor
from orchestrator.engine.dispatch import Dispatch
from orchestrator.engine.new_trials import NewTrials, TrialTemplate
from orchestrator.recipe import Recipe
from orchestrator.record import Provenance, best_complete
from orchestrator.scheduling.schedulers import scheduler
from orchestrator.search.optuna_study import OptunaStudy
from orchestrator.support.seeds import derive

TRIALS = 40
Configurations = Literal["random", "tpe"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one study. Times are in mean epochs of the task, regret and distance in its median loss less its best."""

    epochs_full: int  # that training all trials fully would take
    epochs_trained: int
    kept: bool  # whether the winner is the configuration that full training of all trials would have chosen
    regret: float  # final loss of the winner, less the best final loss among the trials
    distance: float  # final loss of the winner, less the best final loss of the task
    winner_known: float  # when the winner's final loss was known
    end: float


def simulate(
    curves: LearningCurves, *, pruner_name: str, configurations: Configurations, seed: int, workers: int = 1, trials: int = TRIALS
) -> Outcome:
    """Run a study of `trials` trials on recorded curves through the real conductor.

    "random" draws the configurations without replacement, the same for every pruner; "tpe" has Optuna's sampler in the loop,
    and trains the recorded configuration that is nearest to what it asks for. Raises RuntimeError where the study does not end
    with all its trials finished, and as `SimulatedExecutor` does.
    """
    plan = drawn(curves, seed, trials) if configurations == "random" else sampled(curves)
    nearest = Nearest(curves)
    clock = SimulatedClock()

    def complete(params: Mapping[str, Any]) -> Mapping[str, Any]:
        return params if "configuration" in params else {**params, "configuration": nearest(params)}

    def recorded(recipe: Recipe) -> Any:
        return curves.curves[recipe.params["configuration"]]

    executor = SimulatedExecutor(workers=workers, clock=clock, curve=recorded)
    archive = MemoryStudy()
    study_seed, chosen_pruner = derive(seed, curves.task), pruner(pruner_name, plan.epochs)
    search = OptunaStudy(plan, seed=study_seed, sampler=configurations, pruner=chosen_pruner)
    template = TrialTemplate(plan=plan, seed=study_seed, complete=complete, provenance=Provenance(study=""))
    records = Conductor(
        archive=archive,
        new_trials=NewTrials(template, search=search, archive=archive, clock=clock),
        search=search,
        scheduler=scheduler(chosen_pruner, epochs=plan.epochs, direction=plan.metric.direction, seed=study_seed),
        dispatch=Dispatch(archive=archive, executor=executor, observers=[], clock=clock),
        say=lambda line: print(line, file=sys.stderr),
    ).run(trials)
    if len(records) != trials or not all(record.status.finished for record in records):
        statuses = ", ".join(record.status for record in records)
        raise RuntimeError(f"{pruner_name} was given {trials} trials and left {len(records)}: {statuses}")
    tried = [record.recipe.params["configuration"] for record in records]
    winner = best_complete(records)
    known = winner.provenance.finished if winner is not None else None
    return judged(
        costs=curves.costs(),
        tried=tried,
        chosen=winner.recipe.params["configuration"] if winner is not None else None,
        epochs_full=trials * curves.epochs,
        epochs_trained=executor.epochs_trained,
        winner_known=known if known is not None else clock.elapsed(),
        end=clock.elapsed(),
    )


def judged(
    *,
    costs: np.ndarray,
    tried: list[int],
    chosen: int | None,
    epochs_full: int,
    epochs_trained: int,
    winner_known: float,
    end: float,
) -> Outcome:
    """The outcome of a study that tried these configurations and chose one; None: nothing was trained to its end.

    `costs` are the final losses (or negative accuracies) of all configurations of the task, infinite for diverged ones. A
    study that trained nothing to its end, or chose something worse than the median of them, counts as if it had chosen the
    median: finite losses go up to 1e18, and one such winner would decide the mean over a thousand studies.
    """
    median, task_best = float(np.median(costs)), float(costs.min())
    unit = median - task_best
    best = float(costs[tried].min())
    cost = min(float(costs[chosen]), median) if chosen is not None else median
    return Outcome(
        epochs_full=epochs_full,
        epochs_trained=epochs_trained,
        kept=chosen is not None and cost == best,
        regret=(cost - best) / unit,
        distance=(cost - task_best) / unit,
        winner_known=winner_known,
        end=end,
    )
