"""Files of pretrained weights: torchvision's by name, from the disk or the network, or a user's own with its sha256."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import final
from urllib.parse import urlparse

import torch
import torchvision

from orchestrator.errors import BadData, InvalidInput, MissingInput, UnknownName
from orchestrator.support.disk_lookups import is_file, is_there
from orchestrator.support.shell_words import command
from trainers.pretrained.architectures import FAMILIES, architectures
from trainers.support.download import Checksum, digest, download
from trainers.support.ranges import check_choice

_FILE_ENDINGS = (".pth", ".pt")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedWeights:
    """Weights that torchvision publishes, `resnet50-IMAGENET1K_V1`. The file's name ends in the start of its sha256."""

    name: str
    url: str

    @property
    def file(self) -> str:
        """`resnet50-0676ba61.pth`."""
        return PurePosixPath(urlparse(self.url).path).name

    @property
    def checksum(self) -> Checksum:
        """The one that the file's name promises."""
        return Checksum(algorithm="sha256", digits=self.file.removesuffix(".pth").rsplit("-", 1)[1])

    def paths(self, folder: Path) -> tuple[Path, Path]:
        """Where the file is looked for: below the data folder `folder`, then in torch's own cache."""
        return folder / "weights" / self.file, Path(torch.hub.get_dir()) / "checkpoints" / self.file

    def find(self, folder: Path) -> Path:
        """The file, checked. Raises MissingInput (both ways to get it), or BadData when only an altered one is there."""
        paths = self.paths(folder)
        for path in paths:
            if self.checksum.fits(path):
                return path
        for path in paths:
            if is_there(path):
                raise BadData(f"{path} is truncated or altered: delete it, then {self._ways(folder)}")
        raise MissingInput(f"the pretrained weights {self.name} are neither {paths[0]} nor {paths[1]}: {self._ways(folder)}")

    def fetch(self, folder: Path) -> Path:
        """The file below `folder`, downloaded unless it is there. Raises MissingInput, BadData or DiskError."""
        target = self.paths(folder)[0]
        if not self.checksum.fits(target):
            download(self.url, target, self.checksum, by_hand=self._by_hand(folder))
        return target

    def _ways(self, folder: Path) -> str:
        fetch = command("data", "fetch", self.name, "--data-dir", folder)
        return f"run `{fetch}`, which needs the network. {self._by_hand(folder)}"

    def _by_hand(self, folder: Path) -> str:
        return f"Or, by hand: copy {self.file} (published at {self.url}) into {folder / 'weights'}"


def known(architecture: str) -> list[str]:
    """The names of torchvision's weights for an architecture, such as `IMAGENET1K_V1`."""
    return [member.name for member in torchvision.models.get_model_weights(architecture)]


def published(architecture: str, name: str) -> PublishedWeights:
    """Torchvision's weights of this name for an architecture."""
    weights = torchvision.models.get_model_weights(architecture)[name]
    return PublishedWeights(name=f"{architecture}-{name}", url=weights.url)


def fetchable() -> list[str]:
    """Everything that `fetch` takes, such as `resnet50-IMAGENET1K_V1`."""
    names = [name for family in FAMILIES for name in architectures(family)]
    return [f"{architecture}-{weights}" for architecture in names for weights in known(architecture)]


def fetch(name: str, folder: Path) -> Path:
    """The file of the named weights below the data folder, downloaded unless it is there.

    Raises UnknownName, MissingInput, BadData or DiskError.
    """
    return _named(name).fetch(folder)


def verify(name: str, folder: Path) -> Path:
    """The file of the named weights, checked. Raises UnknownName, MissingInput (both ways to get it) or BadData."""
    return _named(name).find(folder)


def _named(name: str) -> PublishedWeights:
    """The weights of one of the names in `fetchable`. Raises UnknownName."""
    if name not in fetchable():
        raise UnknownName("pretrained weights", name, fetchable())
    return published(*name.split("-", 1))


def check(architecture: str, weights: str, sha256: str) -> None:
    """Raise ValueError unless `weights` can be a name that torchvision has for the architecture, or a file with this sha256."""
    file = weights.endswith(_FILE_ENDINGS)
    if weights and not file:
        check_choice("weights (unless a file *.pth or *.pt)", weights, known(architecture))
    if sha256 and not file:
        raise ValueError("weights_sha256 belongs to a file of weights, *.pth or *.pt, and weights names none")
    if sha256 and not re.fullmatch("[0-9a-f]{64}", sha256):
        raise ValueError("weights_sha256 must be 64 hexadecimal digits, in lower case")


def candidates(architecture: str, weights: str, folder: Path) -> tuple[Path, ...]:
    """Where `find` looks for the file, in this order."""
    if not weights.endswith(_FILE_ENDINGS):
        return published(architecture, weights).paths(folder)
    own = Path(weights).expanduser()
    return own, folder / "weights" / own


def find(architecture: str, weights: str, sha256: str, folder: Path) -> Path:
    """The file that `weights` stands for: a torchvision name, or a file with this sha256.

    A file that is not there as it is named is looked for in the data folder `folder`, below `weights`.
    Raises MissingInput, BadData for another content, InvalidInput with the sum to write down where `sha256` is "": without it a
    recipe would not say what it trains.
    """
    if not weights.endswith(_FILE_ENDINGS):
        return published(architecture, weights).find(folder)
    paths = candidates(architecture, weights, folder)
    file = next((path for path in paths if is_file(path)), None)
    if file is None:
        raise MissingInput(
            f"there is no file of weights {paths[0]}, nor in {folder / 'weights'}; give one, or a name that torchvision has for "
            f"{architecture}: {', '.join(known(architecture))}"
        )
    found = digest(file, "sha256")
    if not sha256:
        raise InvalidInput(f'the recipe does not say what {file} holds: write "weights_sha256": "{found}" beside "weights"')
    if found != sha256:
        raise BadData(f"{file} is not the file that the recipe names: its sha256 is {found}, not {sha256}")
    return file
