"""What a reference system is: a recipe that a public report describes, what came of it there, and what was left open."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from orchestrator.recipe import Recipe
from orchestrator.support.serialization import freeze
from search_spaces.reference_systems.scaling import Scaled, scaled

DATASET = "cifar100"
SEED = 42  # of the starter's CONFIG; there, and in reports 000 and 001, it was never applied


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What a report says of its system: accuracies as fractions, None where it says nothing."""

    val_acc: float | None = None
    test_acc: float | None = None
    train_acc: float | None = None
    kaggle: float | None = None  # on the challenge's out-of-distribution images
    remark: str = ""  # what is no figure, or a further one

    def figures(self) -> dict[str, float]:
        """The accuracies that it says, by their names."""
        named = {"val_acc": self.val_acc, "test_acc": self.test_acc, "train_acc": self.train_acc, "kaggle": self.kaggle}
        return {name: value for name, value in named.items() if value is not None}

    def text(self) -> str:
        """In a line."""
        said = [f"{name} {value:.5g}" for name, value in self.figures().items()]
        return "; ".join(filter(None, [", ".join(said), self.remark])) or "says nothing of its accuracy"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceSystem:
    """One system of one report, as it can be run here.

    `params` are those of its recipe, without what the trainer's defaults say. `choices` has a sentence for everything that the
    report leaves open and that was chosen here, and for everything of it that is deliberately not repeated.
    """

    system: str  # report and part of the challenge, "004-P1"
    name: str  # the model and what is special
    trainer: str
    parameters: int  # of the model, with 100 classes
    epochs: int
    params: Mapping[str, Any]
    reported: Reported
    choices: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", freeze(self.params))

    @property
    def part(self) -> int:
        """Of the challenge: 1 a simple network, 2 a larger one from scratch, 3 from pretrained weights."""
        return int(self.system.rpartition("P")[2])

    @property
    def weights(self) -> str:
        """Torchvision's name of the weights that it begins from; "" from scratch."""
        return str(self.params.get("weights", ""))

    def recipe(self, epochs: int | None = None) -> Recipe:
        """Its recipe; for another number of epochs than its own, what is counted in epochs is scaled with it."""
        length = epochs or self.epochs
        return Recipe(
            plan=self.name,
            trainer=self.trainer,
            dataset=DATASET,
            epochs=length,
            seed=SEED,
            params=self._scaled(length).params,
        )

    def scaling(self, epochs: int) -> tuple[str, ...]:
        """What its recipe for so many epochs scales or leaves out, a sentence each."""
        return self._scaled(epochs).sentences

    def _scaled(self, epochs: int) -> Scaled:
        return scaled(self.params, own=self.epochs, epochs=epochs)
