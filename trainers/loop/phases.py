"""The phases of a run: first the head alone, then all layers, each with its own epochs and rate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

import torch

from orchestrator.errors import InvalidInput
from trainers.support.ranges import check_number, check_whole


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """So many epochs in which these layers are trained. The schedule, warm-up included, runs through once in each phase.

    Where only the head is trained, the layers below it stay as they are, BatchNorm's running figures included.
    """

    epochs: int
    layers: Literal["head", "all"] = "all"
    rate: float = 1.0  # times the recipe's learning rate

    def __post_init__(self) -> None:
        check_whole("epochs", self.epochs, 1, 100_000)
        check_number("rate", self.rate, 0, 1000)
        if self.rate == 0:
            raise ValueError("rate 0 would train nothing: leave the phase out")


def phases_of_run(phases: Sequence[Phase], epochs: int) -> tuple[Phase, ...]:
    """The phases of a run of so many epochs; without any, one of all layers. Raises InvalidInput where they do not add up."""
    if not phases:
        return (Phase(epochs=epochs),)
    if len(phases) == 1 and phases[0].layers == "all" and phases[0].rate == 1:
        raise InvalidInput("phases: a single phase of all layers at rate 1 changes nothing: leave it out")
    total = sum(phase.epochs for phase in phases)
    if total != epochs:
        raise InvalidInput(f"the phases have {total} epochs together, and the run has {epochs}")
    return tuple(phases)


def phase_at(phases: Sequence[Phase], number: int) -> tuple[Phase, int]:
    """The phase that the epoch with this number belongs to, and the number of its first epoch; both count from 1."""
    first = 1
    for phase in phases[:-1]:
        if number < first + phase.epochs:
            return phase, first
        first += phase.epochs
    return phases[-1], first


def trainable_parameters(model: torch.nn.Module, head: str, phase: Phase) -> list[torch.nn.Parameter]:
    """The parameters that a phase trains; only these get gradients. Raises InvalidInput for a model that has no head."""
    parameters = list(model.parameters())
    for parameter in parameters:
        parameter.requires_grad_(phase.layers == "all")
    if phase.layers == "all":
        return parameters
    chosen = list(head_of(model, head).parameters())
    for parameter in chosen:
        parameter.requires_grad_(True)
    return chosen


def set_train_mode(model: torch.nn.Module, head: str, phase: Phase) -> None:
    """Set the layers that a phase trains to training mode, and the others to evaluation."""
    model.train(phase.layers == "all")
    if phase.layers == "head":
        head_of(model, head).train()


def head_of(model: torch.nn.Module, head: str) -> torch.nn.Module:
    """The submodule that gives the classes. Raises InvalidInput for a model that has none."""
    if not head:
        raise InvalidInput("phases: this model has no head that could be trained alone")
    return model.get_submodule(head)
