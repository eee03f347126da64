"""The picture of a recipe's augmentation that `orchestrate data preview` writes."""

from collections.abc import Callable
from pathlib import Path

from orchestrator import plugins
from orchestrator.hyperparameters import divide
from orchestrator.recipe import Recipe
from orchestrator.sessions.fetch_data import ensure_data_set
from orchestrator.support.atomic_files import disk_errors, replace
from orchestrator.worker.splits import split


def write_preview(
    recipe: Recipe, data_folder: Path, output: Path, say: Callable[[str], None], *, rows: int, columns: int
) -> None:
    """Write a PNG file: `rows` training images, each as validation sees it and as the first `columns` epochs show it.

    The draws are those of a training of this recipe. Raises InvalidInput for a trainer that does not train with the shared loop
    and for augmentation that is impossible, MissingInput or BadData for the data, DiskError.
    """
    from trainers.preview.preview import preview

    ensure_data_set(recipe.dataset, data_folder, say)
    trainer = plugins.trainer(recipe.trainer)
    settings = divide(trainer.hyperparameters, recipe.params)
    source = plugins.dataset(recipe.dataset)
    info = source.info(data_folder)
    read = source.load(data_folder, "train")
    parts = split(
        read.labels,
        seed=recipe.split.seed,
        validation=info.validation_images,
        confirmation=info.confirmation_images,
    )
    picture = preview(settings, read.images[parts.train], info, seed=recipe.seed, rows=rows, epochs=columns)
    with disk_errors(f"write {output}"):
        replace(output, picture)
