"""Records of runs to show to an observer."""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.recipe import Recipe
from orchestrator.record import Epoch, Evaluation, Failure, FailureKind, Kind, Provenance, RunRecord, Status

UUID = "3f2a9c1b-5d6e-4f70-8192-a3b4c5d6e7f8"
STARTED = 1_790_000_000.0


def curve(count: int, start: float = 0.1) -> list[Epoch]:
    """`count` epochs whose validation accuracy rises by a tenth each."""
    return [
        Epoch(
            number=number,
            train_loss=2.0 / number,
            train_acc=0.05 * number,
            val_loss=2.5 / number,
            val_acc=round(start + 0.1 * (number - 1), 6),
            lr=0.01 * number,
            seconds=0.5,
            batch_losses=(2.1, 1.9),
        )
        for number in range(1, count + 1)
    ]


def running(number: int = 0, kind: Kind = Kind.TRIAL, *, learning_rate: float = 0.01, study: str = "part2") -> RunRecord:
    """The record of a run that was just begun."""
    recipe = Recipe(
        plan="part2",
        trainer="resnet",
        dataset="digits",
        epochs=4,
        seed=number,
        params={"learning_rate": learning_rate, "batch_size": 64, "model": {"depth": 18}},
    )
    folder = {Kind.TRIAL: "trials", Kind.RETRAIN: "retrain", Kind.CONFIRM: "confirm", Kind.SINGLE: "single"}[kind]
    name = f"{number:04d}" if kind is Kind.TRIAL else f"{number:04d}-{recipe.fingerprint()[:8]}"
    return RunRecord(
        run_id=f"{study}/{folder}/{name}",
        kind=kind,
        number=number,
        recipe=recipe,
        reference="001-P2" if number == 0 else None,
        provenance=Provenance(study=UUID, commit="abc123", host="here", device="cpu", threads=2, started=STARTED + number),
    )


def seen(record: RunRecord, epochs: Sequence[Epoch]) -> RunRecord:
    """The record after these epochs."""
    return replace(record, best=record.metric.best(epochs), epochs=len(epochs), seconds=sum(epoch.seconds for epoch in epochs))


def ended(record: RunRecord, epochs: Sequence[Epoch], status: Status = Status.COMPLETE) -> RunRecord:
    """The record after its last epoch, in its final state."""
    failure = Failure(kind=FailureKind.CRASHED, message="ValueError: broken") if status is Status.FAILED else None
    test = Evaluation(images=180, loss=0.2, acc=0.97) if record.kind is Kind.RETRAIN else None
    provenance = replace(record.provenance, finished=record.provenance.started + 10)
    return replace(seen(record, epochs), status=status, failure=failure, test=test, provenance=provenance)


def study_of(count: int, length: int = 3) -> list[tuple[RunRecord, list[Epoch]]]:
    """`count` finished trials, COMPLETE, PRUNED and FAILED in turn."""
    states = (Status.COMPLETE, Status.PRUNED, Status.FAILED)
    runs = []
    for number in range(count):
        epochs = curve(length, start=0.1 + 0.01 * number)
        runs.append((ended(running(number), epochs, states[number % 3]), epochs))
    return runs
