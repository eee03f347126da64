"""Averages of a model's weights, which are validated and kept instead of the last ones."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal, final

import torch

from orchestrator.errors import InvalidInput
from trainers.support.ranges import check_number


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ExponentialAverage:
    """A running mean over steps (Polyak averaging), whose memory grows to 1 / (1 - decay) steps.

    After n steps the decay is at most (1 + n) / (10 + n), so that a short run does not end with an average of its first steps.
    """

    name: Literal["ema"] = "ema"
    decay: float = 0.999  # fraction of the mean that a step keeps

    def __post_init__(self) -> None:
        check_number("decay", self.decay, 0.1, 0.999999)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StochasticAverage:
    """The plain mean of the weights at the ends of the last epochs (Izmailov et al. 2018, SWA)."""

    name: Literal["swa"] = "swa"
    start: float = 0.75  # fraction of the epochs after which the mean begins

    def __post_init__(self) -> None:
        check_number("start", self.start, 0, 1, below=True)


Averaging = ExponentialAverage | StochasticAverage


def first_epoch(how: Averaging, epochs: int) -> int:
    """The number of the first epoch whose weights the mean takes in. Raises InvalidInput where it would be the only one."""
    if not isinstance(how, StochasticAverage):
        return 1
    first = round(how.start * epochs) + 1
    if first >= epochs:
        raise InvalidInput(f"averaging: the mean would begin after epoch {first - 1} of {epochs}, and cover one epoch at most")
    return first


@final
class AveragedWeights:
    """A copy of `model` that holds the mean of its weights. BatchNorm's running figures are averaged as weights are."""

    def __init__(self, model: torch.nn.Module, how: Averaging, epochs: int) -> None:
        self._how = how
        self.first = first_epoch(how, epochs)  # the number of the first epoch whose weights the mean takes in
        self._taken = 0  # weights that the mean is of
        self.model = deepcopy(model).eval()
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)
        # The tensors stay the same ones: states are loaded into them.
        pairs = list(zip(self.model.state_dict().values(), model.state_dict().values(), strict=True))
        self._means = [mean for mean, _ in pairs if mean.is_floating_point()]
        self._values = [value for mean, value in pairs if mean.is_floating_point()]
        self._counters = [(mean, value) for mean, value in pairs if not mean.is_floating_point()]

    @property
    def begun(self) -> bool:
        """Whether there is a mean already."""
        return self._taken > 0

    def after_step(self) -> None:
        """Take in the weights after a step, for a mean over steps."""
        if isinstance(self._how, ExponentialAverage):
            self._take(1 - min(self._how.decay, (1 + self._taken) / (10 + self._taken)))

    def after_epoch(self, epoch: int) -> None:
        """Take in the weights after the epoch with this number, from 1, for a mean over epochs."""
        if isinstance(self._how, StochasticAverage) and epoch >= self.first:
            self._take(1 / (1 + self._taken))

    def state_dict(self) -> dict[str, Any]:
        """The mean, and of how many weights it is."""
        return {"taken": self._taken, "model": self.model.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`."""
        self.model.load_state_dict(state["model"])
        self._taken = int(state["taken"])

    def _take(self, share: float) -> None:
        """Move the mean by this share towards the model's weights; the first ones are taken whole."""
        share = share if self._taken else 1.0
        with torch.no_grad():
            # As torch.optim.swa_utils does it: a few kernels instead of one for each tensor.
            torch._foreach_lerp_(self._means, self._values, share)
            for mean, value in self._counters:
                mean.copy_(value)
        self._taken += 1
