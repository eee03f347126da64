"""Training: whole epochs of one model by the shared loop and by the plain one."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.utils.data import Dataset

from benchmarks import plain_loop
from benchmarks.measuring.figures import Claim, Result
from benchmarks.training import images
from benchmarks.training.images import Images
from benchmarks.training.models import CNN, RESNET18, Model
from benchmarks.training.peer import OURS, PLAIN, Choice, Pass, choose, compared, figures, speeds
from benchmarks.training.setting import H200_IMAGES, Setting

_VALIDATION = 128  # images, on both sides: an epoch ends as it does in a run, and next to all of its time is training


def measure_cnn(setting: Setting, quick: bool) -> Result:
    """The small network, where what is around the model weighs most."""
    return _measure("cnn", "Training a small CNN", CNN, setting, quick)


def measure_resnet18(setting: Setting, quick: bool) -> Result:
    """A network whose arithmetic weighs most."""
    return _measure("resnet18", "Training ResNet-18", RESNET18, setting, quick)


def _measure(name: str, title: str, model: Model, setting: Setting, quick: bool) -> Result:
    size, found = setting.size(name, quick=quick), images.read(setting)
    validation = min(_VALIDATION, size.images)
    peer = Peer(model=model, found=found, batch=size.batch, validation=validation)
    data = found.data(train=size.images, validation=validation)
    epochs = size.rounds + 1  # one of them warms up
    training = model.begin(data, setting.device, batch=size.batch, epochs=epochs)
    network = model.plain(training, data)
    choice = peer.choose(network, size.choosing)
    loop = peer.loop(network, train=size.images, epochs=epochs, workers=choice.workers)

    def trained(epoch: Callable[[], object]) -> Pass:
        def once() -> int:
            epoch()
            return size.images // size.batch * size.batch

        return once

    measured = speeds(setting, {OURS: trained(training.epoch), PLAIN: trained(loop.epoch)}, size.rounds)
    sides, claims = figures(measured), [compared(setting.bound(name), measured)]
    if name == "resnet18" and "H200" in setting.described:
        claims.append(Claim(figure=sides[OURS], sense="at least", must=None, aim=H200_IMAGES))
    return Result(
        name=name,
        title=title,
        conditions=f"{setting.described}. CIFAR-100, {model.title}, batch {size.batch}, {size.images // size.batch} steps an "
        f"epoch, then {validation} validation images; crop and flip, SGD with Nesterov momentum, cosine per step; the same "
        f"initial weights. The plain loop has {choice.workers} workers, the fastest number here. "
        "What is done once, when a run begins, is left out on both sides.",
        figures=(*sides.values(), *choice.figures),
        claims=tuple(claims),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The plain loop with one model, on the first images of either part."""

    model: Model
    found: Images
    batch: int
    validation: int  # images

    def choose(self, network: nn.Module, train: int) -> Choice:
        """The best number of workers, found by training copies of `network` on `train` images."""

        def make(workers: int) -> Pass:
            loop = self.loop(copy.deepcopy(network), train=train, epochs=self.found.setting.choosing_passes, workers=workers)

            def once() -> int:
                loop.epoch()
                return train // self.batch * self.batch

            return once

        return choose(self.found.setting, make)

    def loop(self, network: nn.Module, *, train: int, epochs: int, workers: int) -> plain_loop.PlainLoop:
        """A run of so many epochs, on `train` images, that changes `network`."""
        files, device = self.found.files, self.found.setting.device

        def batches(dataset: Dataset[Any], *, training: bool) -> plain_loop.Batches:
            return plain_loop.loader(dataset, batch=self.batch, workers=workers, device=device, training=training)

        return plain_loop.PlainLoop(
            network,
            self.model.settings(epochs),
            training=batches(files.for_training(self.found.train[:train]), training=True),
            validation=batches(files.for_evaluation(self.found.validation[: self.validation]), training=False),
            device=device,
        )
