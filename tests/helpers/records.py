"""Records and epochs for tests of what is made from them."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.recipe import Recipe
from orchestrator.record import Epoch, Evaluation, Failure, FailureKind, Kind, Metric, Provenance, RunRecord, Status

PARAMS = {"batch_size": 64, "learning_rate": 0.012345678901234567, "weight_decay": 5e-4, "label_smoothing": 0.1, "dropout": 0.25}

# What study.json says of a plan that searches nothing.
PLAN_CONTENT: Mapping[str, Any] = {
    "recipe": {"trainer": "resnet", "split": {"seed": 0, "train_on": "train"}, "params": {}},
    "space": {},
    "metric": {"name": "val_acc", "direction": "maximize", "rule": "best"},
    "confirm_epochs": 6,
    "retrain_epochs": 12,
    "baselines": {},
}


def epochs_of(values: Sequence[float], seconds: float = 1.0) -> list[Epoch]:
    """Epochs with these validation accuracies; their losses are 2 minus those."""
    return [
        Epoch(
            number=number,
            train_loss=2.5 - value,
            train_acc=value / 2,
            val_loss=2 - value,
            val_acc=value,
            lr=0.1 / number,
            seconds=seconds,
            batch_losses=(2.5, 2.25),
        )
        for number, value in enumerate(values, 1)
    ]


def record_of(
    number: int,
    epochs: Sequence[Epoch],
    *,
    study: str = "part2",
    kind: Kind = Kind.TRIAL,
    status: Status = Status.COMPLETE,
    metric: Metric | None = None,
    params: Mapping[str, Any] | None = None,
    dataset: str = "digits",
    reference: str | None = None,
    test: Evaluation | None = None,
) -> RunRecord:
    judged_by = metric or Metric()
    folder = {Kind.TRIAL: "trials", Kind.RETRAIN: "retrain", Kind.SINGLE: "single", Kind.CONFIRM: "confirm"}[kind]
    return RunRecord(
        run_id=f"{study}/{folder}/{number:04d}",
        kind=kind,
        number=number,
        recipe=Recipe(
            plan="part2", trainer="resnet", dataset=dataset, epochs=6, seed=number, params={**PARAMS, **(params or {})}
        ),
        metric=judged_by,
        status=status,
        failure=Failure(kind=FailureKind.OUT_OF_MEMORY, message="=out of memory") if status is Status.FAILED else None,
        best=judged_by.best(epochs),
        epochs=len(epochs),
        seconds=sum(epoch.seconds for epoch in epochs),
        test=test,
        reference=reference,
        provenance=Provenance(study="0" * 32, started=1_700_000_000.25, finished=1_700_000_100.5 if status.finished else None),
    )
