"""Prediction: the probabilities of many images by a restored ResNet-18, and by the plain loop's evaluation."""

import torch

from benchmarks import plain_loop
from benchmarks.measuring.figures import Result
from benchmarks.training import images
from benchmarks.training.models import RESNET18
from benchmarks.training.peer import OURS, PLAIN, Pass, choose, compared, figures, speeds
from benchmarks.training.setting import Setting
from orchestrator import plugins

# Mean total variation between both sides' probabilities of an image: bfloat16 moves them a little, another pipeline by far more.
_MOST_APART = 0.05


def measure(setting: Setting, quick: bool) -> Result:
    """The same weights, the same images. Raises RuntimeError where the probabilities differ, so other work was done."""
    size, found = setting.size("prediction", quick=quick), images.read(setting)
    data = found.data(train=2 * size.batch, validation=1)
    training = RESNET18.begin(data, setting.device, batch=size.batch, epochs=1)
    training.epoch()  # BatchNorm knows some statistics then
    network = RESNET18.plain(training, data).to(setting.device)
    predictor = plugins.trainer(RESNET18.trainer).restore(training.snapshot(), str(setting.device))
    stored = found.labelled.images[found.train[: size.images]]
    answers: dict[str, torch.Tensor] = {}

    def ours() -> int:
        answers[OURS] = predictor(stored)
        return len(answers[OURS])

    def plain(workers: int, count: int) -> Pass:
        dataset = found.files.for_evaluation(found.train[:count])
        batches = plain_loop.loader(dataset, batch=size.batch, workers=workers, device=setting.device, training=False)

        def once() -> int:
            answers[PLAIN] = plain_loop.predict(network, batches, setting.device)
            return len(answers[PLAIN])

        return once

    choice = choose(setting, lambda workers: plain(workers, size.choosing))
    measured = speeds(setting, {OURS: ours, PLAIN: plain(choice.workers, size.images)}, size.rounds)
    apart = float((answers[OURS] - answers[PLAIN]).abs().sum(dim=1).mean()) / 2
    if apart > _MOST_APART:
        raise RuntimeError(f"both sides predict otherwise (total variation {apart:.3f} a mean image): they did other work")
    return Result(
        name="prediction",
        title="Predicting with ResNet-18",
        conditions=f"{setting.described}. {size.images} images of CIFAR-100, to probabilities on the CPU; "
        f"{RESNET18.title}, weights after {2 * size.batch} images. The shared loop has them as a uint8 array; the plain loop "
        f"reads them {size.batch} at a time through a "
        f"DataLoader with {choice.workers} workers, the fastest number here. The "
        f"probabilities of an image differ by a total variation of {apart:.1g}.",
        figures=(*figures(measured).values(), *choice.figures),
        claims=(compared(setting.bound("prediction"), measured),),
    )
