"""The wall time of a small study, beside a bare loop that does the same training, and beside the usual script."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring.figures import Claim, Figure, Result, ratio
from benchmarks.measuring.rounds import alternated
from benchmarks.measuring.surroundings import ROOT
from benchmarks.overhead.sessions import Session, resources, script, study
from orchestrator.executors.devices import worker_settings
from orchestrator.record import RunRecord
from orchestrator.support.environment import cores
from orchestrator.support.serialization import to_plain

_EPOCHS = 5


def measure(quick: bool) -> Result:
    """Trains the same recipes on all sides, in the same order with the same seeds. Raises RuntimeError where they differ."""
    trials, rounds = (4, 1) if quick else (40, 3)
    with resources() as place:
        first = _study(place, "first", trials, "off")  # finds the recipes, and warms the disk cache; not counted
        recipes = [record.recipe for record in first.trials()]
        request = {
            "recipes": [to_plain(recipe) for recipe in recipes],
            "threads": cores(),
            "epochs": [record.epochs for record in first.trials()],  # fewer than asked for where a setting diverged
            "data": str(ROOT / "data"),
        }
        values = [record.best and record.best.value for record in first.trials()]

        def orchestrated(mirror: str) -> Callable[[str], float]:
            def run(name: str) -> float:
                session = _study(place, name, trials, mirror)
                _refuse_other_work(first.trials(), session.trials())
                return session.seconds

            return run

        def bare(settings: dict[str, str]) -> Callable[[str], float]:
            def run(name: str) -> float:
                seconds, answer = script(place, "bare_loop", request, settings)
                if [max(curve, default=None) for curve in answer["curves"]] != values:
                    raise RuntimeError(f"{name}: the bare loop has other results than the study, so it did other work")
                return seconds

            return run

        def usual(name: str) -> float:
            return script(place, "usual_script", {**request, "work": str(place / name)})[0]

        sides: dict[str, Callable[[str], float]] = {
            "bare loop": bare({}),
            "orchestrate study": orchestrated("offline"),
            "orchestrate study --mirror off": orchestrated("off"),
            "bare loop with a worker's settings": bare(worker_settings(cores())),
            "usual script": usual,
        }
        seconds = alternated(sides, rounds)
    ours, alone, tuned = (seconds[name] for name in ("orchestrate study", "bare loop", "bare loop with a worker's settings"))
    return Result(
        name="same-work",
        title="A small study beside the same training without orchestration",
        conditions=f"digits, part1, {trials} trials × {_EPOCHS} epochs, pruner none, one worker, {cores()} threads; "
        "wall time of the whole process, imports included. The bare loop trains the study's recipes in its order, and must "
        "come to the same accuracies. It is started as anybody would, and for a further row with the settings of threads and "
        "memory that our workers have, which make it faster. The study writes records, checkpoints, Optuna's SQLite copy and "
        "W&B's offline files. The usual script trains the same settings with Optuna on SQLite, W&B in its process and data "
        "loaders of its own.",
        figures=tuple(Figure(name=name, unit="s", values=tuple(values)) for name, values in seconds.items()),
        claims=(
            Claim(figure=ratio("study / bare loop", ours, alone), must=1.15, aim=1.05),
            Claim(figure=ratio("study / bare loop with a worker's settings", ours, tuned), must=None),
            Claim(figure=ratio("usual script / study", seconds["usual script"], ours), sense="at least", must=None),
        ),
    )


def _study(place: Path, name: str, trials: int, mirror: str) -> Session:
    options = (
        "--trials",
        trials,
        "--epochs",
        _EPOCHS,
        "--pruner",
        "none",
        "--workers",
        1,
        "--dataset",
        "digits",
        "--mirror",
        mirror,
    )
    return study(place, "part1", name, *map(str, options))


def _refuse_other_work(one: Sequence[RunRecord], other: Sequence[RunRecord]) -> None:
    def work(records: Sequence[RunRecord]) -> list[tuple[Any, ...]]:
        return [(record.recipe, record.best) for record in records]

    if work(one) != work(other):
        raise RuntimeError("two studies with the same seed have other recipes or results: their times cannot be compared")
