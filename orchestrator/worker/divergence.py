"""The chance level of a data set, and which epochs show that a training has diverged or stays at chance."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from orchestrator.record import Epoch
from orchestrator.support.statistics import standard_error

# A network that predicts all classes alike has a training loss of ln(classes); one that is confident and wrong has more. Three
# times as much, in the middle of a whole epoch and long after the first steps with their spikes, is what an optimiser leaves
# whose weights have grown out of reach. The loss of chance is never that high by bad luck.
_EXPLODED = 3.0  # times ln(classes)
_STEPS_BEFORE_JUDGING = 100

# What has not come this far below chance after so many steps at its full rate has learned nothing: two of the challenge's
# reference systems were trained to the end that way, and reported. Slow settings that do learn are below by then.
_AT_CHANCE = 0.995  # times the chance-level loss
_STEPS_BEFORE_CHANCE = 1000
_STEPS_BEFORE_CHANCE_AT_THE_END = 100
_STEPS_JUDGED = 100  # at least: of few, one that was hard, because its images were mixed for instance, would decide
_ONCE_LEARNED = 0.98  # times the same; what has been below it in an epoch may come back, and is judged by more steps
_SURE = 3.0  # standard errors above chance: an accuracy that chance does not explain


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ChanceLevel:
    """The loss and accuracy of predicting only how frequent the classes are."""

    classes: int
    loss: float  # nats: the entropy of the targets in training; ln(classes) where classes are equally frequent
    acc: float  # fraction of the validation images that always naming their most frequent class gets right
    images: int  # of validation

    @staticmethod
    def of(train: Sequence[int], validation: Sequence[int], *, label_smoothing: float = 0.0) -> "ChanceLevel":
        """From the number of images of each class, and the fraction of each target that is spread over all classes.

        Smoothing raises this loss where some classes are rarer than others.
        """
        total, images = sum(train), sum(validation)
        targets = [(1 - label_smoothing) * count / total + label_smoothing / len(train) for count in train]
        entropy = -math.fsum(part * math.log(part) for part in targets if part)
        return ChanceLevel(classes=len(train), loss=entropy, acc=max(validation, default=0) / max(images, 1), images=images)

    def describe(self) -> str:
        """The loss, for messages; it is ln(classes) unless some classes are rarer than others."""
        uniform = math.isclose(self.loss, math.log(self.classes), rel_tol=1e-3)
        return f"chance-level loss is {f'ln({self.classes}) = ' if uniform else ''}{self.loss:.4g}"

    def explains(self, acc: float) -> bool:
        """Whether a validation accuracy may be chance; never where no accuracy could be told from it."""
        above = self.acc + _SURE * standard_error(self.acc, self.images)
        return acc < above < 1


def divergence_reason(epochs: Sequence[Epoch], chance: ChanceLevel, *, at_full_rate: int, last: bool) -> str:
    """Why these epochs show that more of them cannot help, although all losses are finite, or "".

    Where the median of the last epoch's steps is above three times ln(classes) the run has diverged; that is judged once it has
    done 100 steps, or 2 epochs where its trainer does not tell the losses of steps.

    A run is at chance when the median of its last steps is not half a percent below the chance-level loss, with label
    smoothing and mixed images, too; and its last validation accuracy is what chance explains: with few classes and mixed
    images, losses stay high however much is known. Judged after 1,000 steps `at_full_rate`, those since the warm-up, or at its
    `last` epoch after 100; by the last quarter of an epoch, or the last 1,000 steps of what had learned something. Medians
    forgive spikes in few steps.
    """
    latest, undecided = epochs[-1], math.log(chance.classes)
    losses = [loss for epoch in epochs for loss in epoch.batch_losses]
    if len(losses) < _STEPS_BEFORE_JUDGING if losses else len(epochs) < 2:
        return ""
    loss = statistics.median(latest.batch_losses) if latest.batch_losses else latest.train_loss
    if loss > _EXPLODED * undecided:
        return (
            f"the training loss exploded: {loss:.3g} in epoch {latest.number}; "
            f"chance-level loss is ln({chance.classes}) = {undecided:.3g}"
        )
    enough = _STEPS_BEFORE_CHANCE_AT_THE_END if last else _STEPS_BEFORE_CHANCE
    if at_full_rate < enough or not chance.explains(latest.val_acc):
        return ""
    learned = any(epoch.train_loss <= _ONCE_LEARNED * chance.loss for epoch in epochs)
    judged = _STEPS_BEFORE_CHANCE if learned else max(len(latest.batch_losses) // 4, _STEPS_JUDGED)
    lately = statistics.median(losses[-judged:])
    if lately <= _AT_CHANCE * chance.loss:
        return ""
    return (
        f"at chance: after {len(losses):,} steps the training loss is {lately:.4g}; {chance.describe()}. "
        "The learning rate may be too high or too low"
    )
