"""Folders of real image files: handwritten digits, written as PNG and JPEG by torchvision."""

import warnings
from pathlib import Path

import torch
import torchvision

from orchestrator import plugins


def digit_images(label: int, images: int) -> torch.Tensor:
    """The first images of one digit, uint8 N×3×8×8."""
    read = plugins.dataset("digits").load(Path("nowhere"), "train")
    return torch.from_numpy(read.images[read.labels == label][:images]).expand(-1, 3, -1, -1).contiguous()


def enlarged(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """An image of another size, uint8 C×height×width."""
    return torch.nn.functional.interpolate(image[None], size=(height, width), mode="nearest")[0]


def write(file: Path, image: torch.Tensor) -> None:
    """Write uint8 C×H×W, as PNG or JPEG, as the ending says."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torchvision announces that its encoders will move
        if file.suffix.lower() == ".png":
            torchvision.io.write_png(image, str(file))
        else:
            torchvision.io.write_jpeg(image, str(file), quality=95)


def pictures(folder: Path, *, classes: int = 3, images: int = 12) -> Path:
    """One subfolder per class; images of different sizes and both formats, wide and high ones among them."""
    names = ("zero", "one", "two", "three", "four")
    for label, name in enumerate(names[:classes]):
        for number, image in enumerate(digit_images(label, images)):
            ending = ("png", "jpg", "PNG", "JPEG")[number % 4]
            size = ((32, 32), (40, 48), (64, 33), (16, 20))[number % 4]
            write(folder / name / f"{number:02d}.{ending}", enlarged(image, *size))
    return folder


def decoded_folders(data: Path) -> list[Path]:
    """What is kept of folders of images below a data folder."""
    return sorted((data / "folders").iterdir())
