"""The usual script: what is written for such a search with Optuna and W&B alone, in one process.

Reads from standard input {"recipes": [...], "threads": N, "data": folder, "work": folder}. It trains the same network on the same
images with the same hyperparameters, which are enqueued, for the same number of epochs. As in such scripts each trial makes its
data loaders anew, images are transformed one by one, and the training process itself logs to W&B, reports to Optuna's SQLite
after every epoch and saves the best weights. `num_workers` is 0: for images this small, loaders with processes of their own are
slower.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import optuna
import torch
import wandb
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.overhead.data import load
from orchestrator import plugins
from orchestrator.contracts import Data
from orchestrator.hyperparameters import divide
from orchestrator.recipe import Recipe
from orchestrator.support.serialization import from_plain
from trainers import cnn
from trainers.loop.trainer import ImageShape

Batches = DataLoader[tuple[torch.Tensor, int]]


@final
class Images(Dataset[tuple[torch.Tensor, int]]):
    """Images and their classes, each image transformed when it is asked for."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor, transform: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._images = images
        self._labels = labels
        self._transform = transform

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self._transform(self._images[index]), int(self._labels[index])


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What all trials share."""

    recipe: Recipe  # of the first trial
    space: Mapping[str, Any]
    data: Data
    work: Path

    def objective(self, trial: optuna.Trial) -> float:
        """Train one setting; returns its best accuracy."""
        params = _suggested(trial, self.space)
        train, validation = self._loaders(params["batch_size"])
        network = {name: self.recipe.params[name] for name in ("blocks", "average", "hidden")}
        (settings,) = divide((cnn.Hyperparameters,), {**network, "dropout": params["dropout"]})
        info = self.data.info
        model = cnn.build(settings, info.classes, ImageShape(channels=info.channels, size=info.size))
        optimizer = torch.optim.SGD(
            model.parameters(), lr=params["learning_rate"], momentum=0.9, nesterov=True, weight_decay=params["weight_decay"]
        )
        epochs = self.recipe.epochs
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=params["learning_rate"], total_steps=epochs * len(train), pct_start=0.2, cycle_momentum=False
        )
        criterion = nn.CrossEntropyLoss(label_smoothing=params["label_smoothing"])
        run = wandb.init(project="usual", mode="offline", dir=str(self.work), config=params, reinit="finish_previous")
        best = 0.0
        for epoch in range(1, epochs + 1):
            measured = _epoch(model, train, validation, criterion, optimizer, schedule)
            run.log({"epoch": epoch, **measured})
            if measured["val_acc"] > best:
                best = measured["val_acc"]
                torch.save(model.state_dict(), self.work / f"best-{trial.number}.pt")
            trial.report(best, epoch)
            if trial.should_prune():
                run.finish()
                raise optuna.TrialPruned
        run.finish()
        return best

    def _loaders(self, batch_size: int) -> tuple[Batches, Batches]:
        data, info = self.data, self.data.info
        normalize = [transforms.ConvertImageDtype(torch.float32), transforms.Normalize(info.mean, info.std)]
        augment = transforms.Compose([transforms.RandomCrop(info.size, padding=info.padding), *normalize])
        train = Images(data.train_images, data.train_labels, augment)
        validation = Images(data.validation_images, data.validation_labels, transforms.Compose(normalize))
        return (
            DataLoader(train, batch_size=batch_size, shuffle=True, drop_last=True),
            DataLoader(validation, batch_size=256),
        )


def _epoch(
    model: nn.Module,
    train: Batches,
    validation: Batches,
    criterion: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> dict[str, float]:
    model.train()
    losses, hits, seen = [], 0, 0
    for images, labels in train:
        optimizer.zero_grad()
        logits = model(images)
        loss = criterion(logits, labels)
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        hits += int((logits.argmax(dim=1) == labels).sum())
        seen += len(labels)
    model.eval()
    right, total, cost = 0, 0, 0.0
    with torch.no_grad():
        for images, labels in validation:
            logits = model(images)
            cost += nn.functional.cross_entropy(logits, labels, reduction="sum").item()
            right += int((logits.argmax(dim=1) == labels).sum())
            total += len(labels)
    return {
        "train_loss": sum(losses) / len(losses),
        "train_acc": hits / seen,
        "val_loss": cost / total,
        "val_acc": right / total,
    }


def _suggested(trial: optuna.Trial, space: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, distribution in space.items():
        match distribution:
            case optuna.distributions.CategoricalDistribution(choices=choices):
                found[name] = trial.suggest_categorical(name, choices)
            case optuna.distributions.FloatDistribution(low=low, high=high, log=log):
                found[name] = trial.suggest_float(name, low, high, log=log)
    return found


def main() -> None:
    """Search, with the settings of the recipes."""
    request = json.load(sys.stdin)
    torch.set_num_threads(request["threads"])
    work = Path(request["work"])
    work.mkdir(parents=True)
    recipes = [from_plain(Recipe, recipe) for recipe in request["recipes"]]
    data = load(recipes[0], Path(request["data"]))
    _, _, make = plugins.plan(recipes[0].plan)
    space = make(recipes[0].dataset, data.info).space
    study = optuna.create_study(
        storage=f"sqlite:///{work / 'optuna.db'}",
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=0),
        pruner=optuna.pruners.NopPruner(),
    )
    for recipe in recipes:
        study.enqueue_trial({name: recipe.params[name] for name in space})
    search = Search(recipe=recipes[0], space=space, data=data, work=work)
    study.optimize(search.objective, n_trials=len(recipes))
    print(json.dumps({"best": study.best_value}))


if __name__ == "__main__":
    main()
