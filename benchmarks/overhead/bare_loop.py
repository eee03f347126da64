"""The bare loop: trains recipes one after the other in one process, with nothing around them.

Reads from standard input {"recipes": [...], "threads": N, "epochs": [...], "data": folder}; writes the best value of each run
after each epoch. No orchestration, no records, no checkpoints, no copies: what training alone takes.
"""

import json
import sys
from pathlib import Path

import torch

from benchmarks.overhead.data import load
from orchestrator import plugins
from orchestrator.recipe import Recipe
from orchestrator.support.serialization import from_plain


def main() -> None:
    """Train what is asked for; the data are loaded once."""
    request = json.load(sys.stdin)
    torch.set_num_threads(request["threads"])
    recipes = [from_plain(Recipe, recipe) for recipe in request["recipes"]]
    data = load(recipes[0], Path(request["data"]))
    trainer = plugins.trainer(recipes[0].trainer)
    curves = []
    for recipe, epochs in zip(recipes, request["epochs"], strict=True):
        training = trainer.begin(recipe, data, "cpu")
        curves.append([training.epoch().val_acc for _ in range(epochs)])
    print(json.dumps({"curves": curves}))


if __name__ == "__main__":
    main()
