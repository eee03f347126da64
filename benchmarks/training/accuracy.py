"""Whether what is faster learns no less: accuracy after the same epochs, from the same initial weights, on several seeds."""

import functools
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from benchmarks.measuring.figures import Claim, Figure, Result, ratio
from benchmarks.training import images
from benchmarks.training.epochs import Peer
from benchmarks.training.models import CNN, RESNET18, Model
from benchmarks.training.peer import OURS, PLAIN, figures
from benchmarks.training.setting import Setting
from orchestrator.contracts import Training

# 97.5 % points of Student's t distribution, by degrees of freedom
_STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is trained."""

    train: int  # images
    validation: int  # images
    epochs: int
    seeds: int
    choosing: int  # images in an epoch that decides how many workers the plain loop has
    batch: int = 128  # images


def measure_cnn(setting: Setting, quick: bool) -> Result:
    """Of the small network."""
    effort = Effort(train=10_000, validation=5_000, epochs=3, seeds=8, choosing=2_560)
    small = Effort(train=256, validation=100, epochs=1, seeds=2, choosing=128)
    return _measure("cnn-accuracy", CNN, setting, small if quick else effort)


def measure_resnet18(setting: Setting, quick: bool) -> Result:
    """Of ResNet-18, on fewer images where there is no GPU."""
    if quick:
        effort = Effort(train=8, validation=4, epochs=1, seeds=2, choosing=4, batch=4)
    elif setting.column == "gpu":
        effort = Effort(train=40_000, validation=5_000, epochs=3, seeds=8, choosing=10_240)
    else:
        # Until it is well above chance, or what is lost in learning could not show.
        effort = Effort(train=2_000, validation=1_000, epochs=3, seeds=5, choosing=128, batch=32)
    return _measure("resnet18-accuracy", RESNET18, setting, effort)


def _measure(name: str, model: Model, setting: Setting, effort: Effort) -> Result:
    found = images.read(setting)
    data = found.data(train=effort.train, validation=effort.validation)
    peer = Peer(model=model, found=found, batch=effort.batch, validation=effort.validation)

    def begin(seed: int) -> tuple[Training, torch.nn.Module]:
        training = model.begin(data, setting.device, batch=effort.batch, epochs=effort.epochs, seed=seed)
        return training, model.plain(training, data)

    choice = peer.choose(begin(0)[1], effort.choosing)
    accuracies: dict[str, list[float]] = {OURS: [], PLAIN: []}
    seconds: dict[str, list[float]] = {OURS: [], PLAIN: []}

    def train(side: str, epoch: Callable[[], float]) -> None:
        started = time.perf_counter()
        accuracies[side].append([epoch() for _ in range(effort.epochs)][-1])
        seconds[side].append(time.perf_counter() - started)

    for seed in range(effort.seeds):
        training, network = begin(seed)
        loop = peer.loop(network, train=effort.train, epochs=effort.epochs, workers=choice.workers)
        torch.manual_seed(seed)  # the plain loop draws its order and its crops from torch's own generator
        sides = [functools.partial(train, OURS, functools.partial(_epoch, training)), functools.partial(train, PLAIN, loop.epoch)]
        for side in sides if seed % 2 == 0 else reversed(sides):
            side()
    return Result(
        name=name,
        title=f"Accuracy after {effort.epochs} epochs: {model.title}",
        conditions=f"{setting.described}. CIFAR-100, {effort.train} training images, batch {effort.batch}, {effort.epochs} "
        f"epochs, accuracy on {effort.validation} validation images after the last, {effort.seeds} seeds. Both sides begin from "
        "the same weights for a seed, and draw order, crops and flips of their own. The seconds are those of all epochs; the "
        "plain loop has "
        f"{choice.workers} workers. The shared loop must not be worse by more than chance explains: the interval of the mean "
        "difference, seed by seed (Student's t, 95 %), must not lie below 0 as a whole. A loss of "
        "more than the interval's length would have shown.",
        figures=(*_summed_up(accuracies), *figures(seconds, "s").values()),
        claims=(
            not_worse(accuracies[OURS], accuracies[PLAIN]),
            Claim(figure=ratio("seconds, plain loop / shared loop", seconds[PLAIN], seconds[OURS]), sense="at least", must=None),
        ),
    )


def _epoch(training: Training) -> float:
    return training.epoch().val_acc


def not_worse(ours: Sequence[float], plain: Sequence[float]) -> Claim:
    """That the mean difference, seed by seed, is not below 0 by more than chance explains: the upper end of its interval."""
    low, high = interval([one - other for one, other in zip(ours, plain, strict=True)])
    name = f"{OURS} − {PLAIN}: upper end of the interval from {low:+.4f} to {high:+.4f}"
    return Claim(figure=Figure(name=name, unit="accuracy", values=(high,)), sense="at least", must=0.0)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Where the mean of many such values lies, with 95 %: Student's t. Raises KeyError unless there are 2 to 10 values."""
    half = _STUDENT[len(values) - 1] * statistics.stdev(values) / math.sqrt(len(values))
    mean = statistics.fmean(values)
    return mean - half, mean + half


def _summed_up(accuracies: Mapping[str, Sequence[float]]) -> Iterator[Figure]:
    for side, values in accuracies.items():
        yield Figure(name=f"{side}, accuracy", unit="", values=tuple(values))
        yield Figure(name=f"{side}, accuracy: mean", unit="", values=(statistics.fmean(values),))
        yield Figure(name=f"{side}, accuracy: standard deviation", unit="", values=(statistics.stdev(values),))
