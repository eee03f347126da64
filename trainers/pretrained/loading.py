"""Pretrained weights brought into a network whose first and last layers may be others than those they were made with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, final

import torch

from orchestrator.errors import BadData
from orchestrator.support.disk_lookups import status
from trainers.pretrained import weight_files


class NamesWeights(Protocol):
    """The hyperparameters of a network that may begin from weights."""

    @property
    def architecture(self) -> str:
        """The network's name at torchvision."""

    @property
    def weights(self) -> str:
        """A torchvision name, or a file; "" for none."""

    @property
    def weights_sha256(self) -> str:
        """Of the file."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Pretrained:
    """Implements `Pretrain`: all layers but those that give the classes begin at the weights that the hyperparameters name."""

    first: str  # name of the first convolution
    classes: str  # name of the layers that give the classes, which are always new

    def __call__(self, model: torch.nn.Module, hyperparameters: NamesWeights, data_folder: Path) -> tuple[str, ...]:
        """Load them into `model`. Returns the name of the first convolution where they do not fit there.

        Raises MissingInput, BadData, or InvalidInput where a file's sha256 is not given.
        """
        if not hyperparameters.weights:
            return ()
        file = weight_files.find(
            hyperparameters.architecture, hyperparameters.weights, hyperparameters.weights_sha256, data_folder
        )
        return self._load(model, read(file), file)

    def state(self, hyperparameters: NamesWeights, data_folder: Path) -> tuple[Any, ...]:
        """The paths, sizes and times of the files that may hold the weights. Raises DiskError."""
        if not hyperparameters.weights:
            return ()
        paths = weight_files.candidates(hyperparameters.architecture, hyperparameters.weights, data_folder)
        found = [(path.absolute(), status(path)) for path in paths]
        return tuple((str(path), there and (there.st_size, there.st_mtime_ns, there.st_ino)) for path, there in found)

    def _load(self, model: torch.nn.Module, state: Mapping[str, torch.Tensor], source: Path) -> tuple[str, ...]:
        """Load all weights of `state` but those of the layers that give the classes.

        For images of one channel the first convolution is summed over its input channels: a grey image gives what it gave as
        three equal ones. A first convolution of another kernel size than the model's stays as it was initialised.
        Raises BadData naming the first weight that is missing, superfluous or of another shape.
        """
        own, given = self._body(model.state_dict()), self._body(state)
        for name in own.keys() - given.keys():
            # The count of batches came into BatchNorm later than the first published files; training does not use it.
            if name.endswith("num_batches_tracked"):
                given[name] = own[name]
        filters, random = f"{self.first}.weight", False
        stem = given.get(filters)
        if stem is not None and stem.dim() == 4:
            if own[filters].shape[1] == 1:
                stem = stem.sum(dim=1, keepdim=True)
            random = stem.shape[2:] != own[filters].shape[2:]
            given[filters] = own[filters] if random else stem
        for name in sorted(own.keys() | given.keys()):
            if name not in own or name not in given or own[name].shape != given[name].shape:
                raise BadData(f"{source} does not fit this model: it has {_shape(given, name)}, the model {_shape(own, name)}")
        model.load_state_dict(given, strict=False)
        return (self.first,) if random else ()

    def _body(self, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: value for name, value in state.items() if not name.startswith(f"{self.classes}.")}


def read(file: Path) -> dict[str, torch.Tensor]:
    """The state dict in `file`, on the CPU. Only tensors and plain values are ever loaded. Raises BadData."""
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # torch's reader meets damage with errors of every kind
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadData(f"{file} cannot be read as weights: {reason}") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise BadData(f"{file} does not hold a state dict, names and tensors")
    for name, value in state.items():
        if value.is_complex() or (value.is_floating_point() and not torch.isfinite(value).all()):
            raise BadData(f"{file} cannot be used: its {name} has values that are no finite numbers")
    return dict(state)


def _shape(state: Mapping[str, torch.Tensor], name: str) -> str:
    return f"{name} {'×'.join(map(str, state[name].shape))}" if name in state else f"no {name}"
