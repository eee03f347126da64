"""A system of a public report: its recipe, the results that the report states, and the choices made where it is silent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

from orchestrator.contracts import Reported
from orchestrator.recipe import Recipe
from orchestrator.support.serialization import freeze
from search_spaces.reference_systems.support.scaling import Scaled, scaled

_SEED = 42  # of the starter's CONFIG; there, and in reports 000 and 001, it was never applied


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedSystem:
    """One system of one report (see `contracts.ReferenceSystem`).

    `params` are those of its recipe that differ from the trainer's defaults. `choices` has a sentence for each setting that the
    report leaves open, and for each part of the report that is deliberately not repeated.
    """

    system: str  # report and part of the challenge, "004-P1"
    name: str  # the model and what is special
    trainer: str
    parameters: int  # of the model, with 100 classes
    epochs: int
    params: Mapping[str, Any]
    reported: Reported = field(default_factory=Reported)
    choices: tuple[str, ...] = ()
    dataset: str = "cifar100"
    seed: int = _SEED

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", freeze(self.params))

    @property
    def part(self) -> int | None:
        """Of the challenge: 1 a simple network, 2 a larger one from scratch, 3 from pretrained weights; None for any other."""
        number = self.system.rpartition("-P")[2]
        return int(number) if number.isdecimal() else None

    @property
    def weights(self) -> str:
        """Torchvision's name of the pretrained weights; "" for training from scratch."""
        return str(self.params.get("weights", ""))

    def recipe(self, epochs: int | None = None) -> Recipe:
        """The recipe, scaled to `epochs` where they differ from its own."""
        length = epochs or self.epochs
        return Recipe(
            plan=self.name,
            trainer=self.trainer,
            dataset=self.dataset,
            epochs=length,
            seed=self.seed,
            params=self._scaled(length).params,
        )

    def scaling(self, epochs: int) -> tuple[str, ...]:
        """One sentence for each setting that the recipe of so many epochs scales or leaves out."""
        return self._scaled(epochs).sentences

    def _scaled(self, epochs: int) -> Scaled:
        return scaled(self.params, own=self.epochs, epochs=epochs)
