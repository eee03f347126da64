"""Records the learning curves that `make replay` judges pruners on: real runs of a small CNN on a part of CIFAR-100.

    OMP_NUM_THREADS=1 python -m benchmarks.record_curves --data-dir DIR

Every run is one line of the journal; runs that are already there are not made again, so the command can be stopped at any time
and given again. When all runs are there they are packed into `benchmarks/curves/`. The same machine records the same numbers.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch

from orchestrator import plugins
from orchestrator.contracts import Data, Diverged
from orchestrator.hyperparameters import complete
from orchestrator.recipe import Recipe
from orchestrator.record import Epoch
from orchestrator.support.seeds import derive

PACKED = Path(__file__).parent / "curves" / "cifar100_cnn.npz"
RUNS = 200
EPOCHS = 20
SCHEDULES = ("cosine", "warm-up-stable-decay")  # in turn
CLASSES = 20  # the first of the 100
TRAIN_PER_CLASS = 200  # images, in the order of the file
VALIDATION_PER_CLASS = 100  # the following ones; of 2,000 images an accuracy is known to .011 (one standard error at .5)
SIZE = 16  # pixels
# Narrower than the trainer's defaults, so that a run takes seconds; accuracies still range from chance to nearly a half.
NETWORK: Mapping[str, Any] = {"blocks": [{"channels": 12}, {"channels": 24}, {"channels": 48}], "hidden": [64]}
HYPERPARAMETERS = ("batch_size", "learning_rate", "weight_decay", "label_smoothing", "dropout")
MEASURES = ("val_loss", "val_acc", "train_loss")


optuna.logging.set_verbosity(optuna.logging.WARNING)


def main() -> None:
    """Record what is missing, then pack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=Path("data"), help="where cifar-100-python lies")
    parser.add_argument("--journal", type=Path, default=Path("runs/curves.jsonl"), help="one finished run a line")
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.journal.parent.mkdir(parents=True, exist_ok=True)
    done = read_journal(given.journal)
    missing = [number for number in range(RUNS) if number not in done]
    if missing:
        data = subset(given.data_dir)
        with given.journal.open("a") as journal:
            for number in missing:
                done[number] = _record(number, data)
                journal.write(json.dumps(done[number]) + "\n")
                journal.flush()
                best = max(done[number]["val_acc"], default=math.nan)
                print(f"run {number} of {RUNS}: best val_acc {best:.3f}", file=sys.stderr)
    _pack([done[number] for number in range(RUNS)])


def subset(folder: Path) -> Data:
    """The images that all runs are trained and validated on."""
    dataset = plugins.dataset("cifar100")
    labelled = dataset.load(folder, "train")
    places = [np.flatnonzero(labelled.labels == label) for label in range(CLASSES)]
    train = np.sort(np.concatenate([place[:TRAIN_PER_CLASS] for place in places]))
    end = TRAIN_PER_CLASS + VALIDATION_PER_CLASS
    validation = np.sort(np.concatenate([place[TRAIN_PER_CLASS:end] for place in places]))
    images = _halved(labelled.images)
    info = dataset.info(folder)
    return Data(
        train_images=torch.from_numpy(images[train]),
        train_labels=torch.from_numpy(labelled.labels[train]),
        validation_images=torch.from_numpy(images[validation]),
        validation_labels=torch.from_numpy(labelled.labels[validation]),
        info=replace(info, classes=CLASSES, size=SIZE, padding=info.padding // 2),
        folder=folder,
    )


def _halved(images: np.ndarray) -> np.ndarray:
    """uint8 N×C×32×32 to N×C×16×16, each pixel the mean of four: a run takes a quarter of the time."""
    blocks = images.reshape(*images.shape[:2], SIZE, 2, SIZE, 2)
    means: np.ndarray = (blocks.sum(axis=(3, 5), dtype=np.uint16) + 2) // 4
    return means.astype(np.uint8)


def recipe(number: int) -> Recipe:
    """The run with this number: the five hyperparameters drawn at random over the ranges of the plan `part1`."""
    _, dataset, make = plugins.plan("part1")
    plan = make(dataset, plugins.dataset(dataset).info(Path("data")))
    sampler = optuna.samplers.RandomSampler(seed=derive(0, "sampler", number))
    sampled = optuna.create_study(sampler=sampler).ask(dict(plan.space)).params
    trainer = plugins.trainer(plan.recipe.trainer)
    schedule = SCHEDULES[number % len(SCHEDULES)]
    params = complete(trainer.hyperparameters, {**plan.recipe.params, **NETWORK, "schedule": schedule, **sampled})
    return replace(plan.recipe, epochs=EPOCHS, seed=derive(0, "run", number), params=params)


def _record(number: int, data: Data) -> dict[str, Any]:
    """Train one run. A diverged one has the epochs before."""
    made = recipe(number)
    training = plugins.trainer(made.trainer).begin(made, data, "cpu")
    started = time.process_time()
    epochs: list[Epoch] = []
    try:
        while len(epochs) < EPOCHS:
            epochs.append(training.epoch())
    except Diverged as reason:
        print(f"run {number}: {reason}", file=sys.stderr)
    return {
        "number": number,
        "params": {name: made.params[name] for name in HYPERPARAMETERS},
        "schedule": made.params["schedule"]["name"],
        "seconds": (time.process_time() - started) / max(1, len(epochs)),
        **{measure: [getattr(epoch, measure) for epoch in epochs] for measure in MEASURES},
    }


def read_journal(journal: Path) -> dict[int, dict[str, Any]]:
    """The runs that are there, by number. A line that an interruption cut off is dropped from the file."""
    if not journal.exists():
        return {}
    whole = [line for line in journal.read_text().splitlines(keepends=True) if line.endswith("\n")]
    journal.write_text("".join(whole))
    return {run["number"]: run for run in map(json.loads, whole)}


def _pack(runs: list[dict[str, Any]]) -> None:
    """One array of runs × epochs for each measure, NaN from where a run diverged; one of runs × hyperparameters."""
    arrays: dict[str, Any] = {
        measure: np.array([run[measure] + [np.nan] * (EPOCHS - len(run[measure])) for run in runs], dtype=np.float32)
        for measure in MEASURES
    }
    np.savez_compressed(
        PACKED,
        hyperparameters=np.array(HYPERPARAMETERS),
        params=np.array([[run["params"][name] for name in HYPERPARAMETERS] for run in runs]),
        schedule=np.array([run["schedule"] for run in runs]),
        seconds=np.array([run["seconds"] for run in runs], dtype=np.float32),  # of one core, per epoch: the one that varies
        **arrays,
    )


if __name__ == "__main__":
    main()
