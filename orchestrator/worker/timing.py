"""How long an image takes to train on this CPU, measured by a process of its own: `python -P -m orchestrator.worker.timing`.

A trainer may crash or hang, so it is never tried in the process of a command. The request comes as JSON through stdin, the
seconds leave through stdout. Whatever goes wrong is the end of the process, and then there is no estimate.
"""

import json
import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from orchestrator import plugins
from orchestrator.contracts import Data
from orchestrator.hyperparameters import complete
from orchestrator.recipe import Recipe
from orchestrator.support.serialization import from_plain, parse

_IMAGES = 32  # to train on: black ones, since their content changes no speed
_VALIDATION_IMAGES = 2
_LONG = 20.0  # seconds of a first epoch after which there is no second, though the first also warms up
_MOST = 120  # seconds until this process ends itself


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TimingRequest:
    """What is to be timed, and with how many threads."""

    recipe: Recipe
    data_folder: str
    threads: int


def seconds_per_image(request: TimingRequest) -> float:
    """The seconds of one epoch for each of its training images. Raises whatever the trainer raises."""
    import torch

    torch.set_num_threads(request.threads)
    folder = Path(request.data_folder)
    params = complete(plugins.trainer(request.recipe.trainer).hyperparameters, request.recipe.params)
    recipe = replace(request.recipe, params=params)
    info = plugins.dataset_info(recipe.dataset, folder)

    def images(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        labels = torch.arange(count, dtype=torch.int64) % info.classes
        return torch.zeros((count, info.channels, info.size, info.size), dtype=torch.uint8), labels

    train_images, train_labels = images(_IMAGES)
    validation_images, validation_labels = images(_VALIDATION_IMAGES)
    data = Data(
        train_images=train_images,
        train_labels=train_labels,
        validation_images=validation_images,
        validation_labels=validation_labels,
        info=info,
        folder=folder,
    )
    training = plugins.begin(recipe, data, "cpu")
    for _ in range(min(recipe.epochs, 2)):
        began = time.perf_counter()
        training.epoch()
        seconds = time.perf_counter() - began
        if seconds > _LONG:
            break
    return seconds / _IMAGES


def main() -> None:
    """Answer one request."""
    signal.alarm(_MOST)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole terminal group; the command ends this process
    answer = os.dup(1)
    os.dup2(2, 1)  # whatever a plug-in prints is no answer
    seconds = seconds_per_image(from_plain(TimingRequest, parse(sys.stdin.buffer.read(), any_path=True)))
    os.write(answer, json.dumps(seconds).encode())
    os._exit(0)


if __name__ == "__main__":
    main()
