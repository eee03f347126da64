"""The input pipeline alone: crop, flip and normalise every training image once."""

import itertools

import torch

from benchmarks import plain_loop
from benchmarks.measuring.figures import Result
from benchmarks.training import images
from benchmarks.training.peer import OURS, PLAIN, Pass, choose, compared, figures, speeds
from benchmarks.training.setting import Setting
from trainers.loop.hyperparameters import LoopHyperparameters
from trainers.loop.inputs import TrainingInputs, preprocessing_of


def measure(setting: Setting, quick: bool) -> Result:
    """Whole epochs, in batches that arrive on the device as the model takes them; nothing is done with them."""
    size, found = setting.size("pipeline", quick=quick), images.read(setting)
    data = found.data(train=size.images, validation=1)
    info = data.info
    settings = LoopHyperparameters()
    inputs = TrainingInputs(data.train_images, settings, preprocessing_of(settings, info), info)
    seeds = itertools.count()

    def ours() -> int:
        generator = torch.Generator().manual_seed(next(seeds))
        order = torch.randperm(size.images, generator=generator).to(setting.device)
        draws = inputs.draw(generator)
        return sum(
            len(inputs.batch(order[first : first + size.batch], draws))
            for first in range(0, size.images // size.batch * size.batch, size.batch)
        )

    def plain(workers: int, count: int) -> Pass:
        training = found.files.for_training(found.train[:count])
        batches = plain_loop.loader(training, batch=size.batch, workers=workers, device=setting.device, training=True)
        return lambda: plain_loop.prepare(batches, setting.device)

    choice = choose(setting, lambda workers: plain(workers, size.choosing))
    measured = speeds(setting, {OURS: ours, PLAIN: plain(choice.workers, size.images)}, size.rounds)
    return Result(
        name="pipeline",
        title="The input pipeline",
        conditions=f"{setting.described}. CIFAR-100, {size.images} images an epoch in batches of {size.batch}: random order, "
        "crop of the image padded by 4 pixels, flip, normalisation to float32. The plain loop reads PIL images through a "
        f"DataLoader with {choice.workers} workers, the fastest number here; the shared loop holds uint8 images on the device.",
        figures=(*figures(measured).values(), *choice.figures),
        claims=(compared(setting.bound("pipeline"), measured),),
    )
