"""Pretrained weights of ResNets: torchvision's by name, from the disk or the network, or a file of one's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlparse

import torch
import torchvision

from orchestrator.errors import BadData, MissingInput, UnknownName
from trainers._download import Checksum, download

ARCHITECTURES = ("resnet18", "resnet34", "resnet50")
_HEAD = "fc."  # the layers that give the classes are always new
_STEM = "conv1.weight"


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

    def places(self, folder: Path) -> tuple[Path, Path]:
        """Where the file is looked for: below the data folder `folder`, then in torch's own cache."""
        return folder / "weights" / self.file, Path(torch.hub.get_dir()) / "checkpoints" / self.file

    def find(self, folder: Path) -> Path:
        """The file, checked. Raises MissingInput (both ways to get it), or BadData when only an altered one is there."""
        places = self.places(folder)
        for place in places:
            if self.checksum.fits(place):
                return place
        for place in places:
            if place.exists():
                raise BadData(f"{place} is truncated or altered: delete it, then {self._ways(folder)}")
        raise MissingInput(f"the pretrained weights {self.name} are neither {places[0]} nor {places[1]}: {self._ways(folder)}")

    def fetch(self, folder: Path) -> Path:
        """The file below `folder`, downloaded unless it is there. Raises MissingInput, BadData or DiskError."""
        target = self.places(folder)[0]
        if not self.checksum.fits(target):
            download(self.url, target, self.checksum, by_hand=self._by_hand(folder))
        return target

    def _ways(self, folder: Path) -> str:
        return f"run `orchestrate data fetch {self.name} --data-dir {folder}`, which needs the network. {self._by_hand(folder)}"

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
    return [f"{architecture}-{name}" for architecture in ARCHITECTURES for name in known(architecture)]


def fetch(name: str, folder: Path) -> Path:
    """The file of the named weights below the data folder, downloaded unless it is there.

    Raises UnknownName, MissingInput, BadData or DiskError.
    """
    if name not in fetchable():
        raise UnknownName("pretrained weights", name, fetchable())
    return published(*name.split("-", 1)).fetch(folder)


def find(architecture: str, weights: str, folder: Path) -> Path:
    """The file that `weights` (a torchvision name, or a file) stands for. Raises MissingInput or BadData."""
    if weights in known(architecture):
        return published(architecture, weights).find(folder)
    file = Path(weights).expanduser()
    if not file.is_file():
        raise MissingInput(
            f"there is no file of weights {file}; give one, or a name that torchvision has for {architecture}: "
            + ", ".join(known(architecture))
        )
    return file


def read(file: Path) -> dict[str, torch.Tensor]:
    """The state dict in `file`, on the CPU. Only tensors and plain values are ever loaded. Raises BadData."""
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader meets damage with errors of every kind
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadData(f"{file} cannot be read as weights: {reason}") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise BadData(f"{file} does not hold a state dict, names and tensors")
    return dict(state)


def load_body(model: torch.nn.Module, state: Mapping[str, torch.Tensor], source: Path) -> None:
    """Load all weights but the head's into a ResNet.

    For images of one channel the first convolution is summed over its input channels: a grey image gives what it gave as three
    equal ones. A first convolution of another kernel size than the model's stays as it was initialised.
    Raises BadData naming the first weight that is missing, superfluous or of another shape.
    """
    own = {name: value for name, value in model.state_dict().items() if not name.startswith(_HEAD)}
    given = {name: value for name, value in state.items() if not name.startswith(_HEAD)}
    for name in own.keys() - given.keys():
        # The count of batches came into BatchNorm later than the first published files; training does not use it.
        if name.endswith("num_batches_tracked"):
            given[name] = own[name]
    stem = given.get(_STEM)
    if stem is not None and stem.dim() == 4:
        if own[_STEM].shape[1] == 1:
            stem = stem.sum(dim=1, keepdim=True)
        given[_STEM] = stem if stem.shape[2:] == own[_STEM].shape[2:] else own[_STEM]
    for name in sorted(own.keys() | given.keys()):
        if name not in own or name not in given or own[name].shape != given[name].shape:
            raise BadData(f"{source} does not fit this model: it has {_shape(given, name)}, the model {_shape(own, name)}")
    model.load_state_dict(given, strict=False)


def _shape(state: Mapping[str, torch.Tensor], name: str) -> str:
    return f"{name} {'×'.join(map(str, state[name].shape))}" if name in state else f"no {name}"
