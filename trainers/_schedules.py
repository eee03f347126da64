"""Learning-rate schedules, as pure functions of the step.

Their one unit is the step, counted over the whole run; epochs are turned into steps here and nowhere else. Nothing has to be
saved or stepped along: the rate of any step can be computed at any time.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

# Fraction of the steps after the warm-up in which warm-up-stable-decay falls to 0: at 20 % it does as well as cosine in the
# comparison of Hägele et al. 2024, "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations"
_DECAY = 0.2


def _stable_decay(progress: float) -> float:
    return min(1.0, (1.0 - progress) / _DECAY)


# name -> the fraction of the peak rate at `progress`, the fraction in [0, 1) of the steps after the warm-up that are done
SHAPES: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,  # noqa: ARG005
    # SGDR without restarts, Loshchilov and Hutter 2017, equation 5, with a lowest rate of 0
    "cosine": lambda progress: 0.5 * (1.0 + math.cos(math.pi * progress)),
    # constant, then a linear fall to 0: what was trained before the fall is the same for runs of any length
    "warm-up-stable-decay": _stable_decay,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The learning rate of every step of a run: a linear rise over the warm-up, then the shape.

    `warmup` is a fraction of all steps; the rise begins at one part of the peak rate, not at 0, and ends at the peak.
    """

    shape: str  # a name in SHAPES
    peak: float  # the highest learning rate
    warmup: float
    epochs: int
    steps_per_epoch: int

    def rate(self, step: int) -> float:
        """The learning rate of the step with this number; 0 is the first step of the first epoch."""
        steps = self.epochs * self.steps_per_epoch
        rising = round(self.warmup * steps)
        if step < rising:
            return self.peak * ((step + 1) / rising)
        return self.peak * SHAPES[self.shape]((step - rising) / (steps - rising))
