"""The networks: those that the reference systems describe, and what every one of them must do whatever its size."""

import copy
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from orchestrator import plugins
from orchestrator.errors import InvalidInput
from orchestrator.hyperparameters import complete, divide
from tests.helpers.training_runs import asked, begin, digits_data
from trainers import cnn, convnext, efficientnet, resnet
from trainers.loop.trainer import ImageShape
from trainers.pretrained.architectures import FAMILIES, architectures
from trainers.pretrained.head import HeadLayer, make_head

TRAINERS: Mapping[str, ModuleType] = {"cnn": cnn, "convnext": convnext, "efficientnet": efficientnet, "resnet": resnet}
CIFAR = ImageShape(channels=3, size=32)


def build(trainer: str, params: Mapping[str, Any], classes: int = 100, image: ImageShape = CIFAR) -> nn.Module:
    module = TRAINERS[trainer]
    (settings,) = divide((module.Hyperparameters,), params)
    model: nn.Module = module.build(settings, classes, image)
    return model


def shapes_only(trainer: str, params: Mapping[str, Any], image: ImageShape = CIFAR) -> nn.Module:
    """The network with the shapes of its weights, but without any values: none has to be drawn."""
    with torch.device("meta"):
        return build(trainer, params, image=image)


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def plain(*channels: int, **block: Any) -> list[dict[str, Any]]:
    return [{"channels": width, "batch_norm": False, **block} for width in channels]


def test_the_count_of_002_p1_is_that_of_no_network_of_its_description() -> None:
    described = {"blocks": plain(32), "hidden": []}
    # 3·32·9 + 32 and 8192·100 + 100. The report has 820,996: one digit differs.
    assert parameters(shapes_only("cnn", described)) == 820_196
    readings = {
        parameters(shapes_only("cnn", {"blocks": plain(32, kernel=kernel, bias=bias, batch_norm=batch_norm), "hidden": []}))
        for kernel in (1, 3, 5, 7, 9, 11)
        for bias in (False, True)
        for batch_norm in (False, True)
    }
    assert 820_196 in readings
    assert 820_996 not in readings


def as_reported_000_p1() -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, width in ((3, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2048, 256), nn.ReLU(), nn.Linear(256, 100))


def as_reported_003_p1() -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, width in ((3, 32), (32, 64), (64, 128), (128, 256)):
        layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.MaxPool2d(2), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(1024, 512), nn.ReLU(), nn.Linear(512, 100))


def with_dropout_004_p1() -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, width in ((3, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Dropout(0.5), nn.Flatten(), nn.Linear(2048, 256), nn.ReLU(), nn.Linear(256, 100))


def usual_default() -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, width in ((3, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2048, 256), nn.ReLU(), nn.Linear(256, 100))


AS_WRITTEN: Mapping[str, tuple[Callable[[], nn.Module], dict[str, Any]]] = {
    "000-P1": (as_reported_000_p1, {"blocks": plain(32, 64, 128), "hidden": [256]}),
    "003-P1": (as_reported_003_p1, {"blocks": plain(32, 64, 128, 256, batch_norm=True, bias=True), "hidden": [512]}),
    "004-P1": (with_dropout_004_p1, {"blocks": [*plain(32, 64), *plain(128, dropout=0.5)], "hidden": [256]}),
    "the default": (usual_default, {}),
}


@pytest.mark.parametrize("name", AS_WRITTEN)
def test_a_network_of_blocks_computes_what_the_usual_sequence_of_layers_does(name: str) -> None:
    usual, params = AS_WRITTEN[name]
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    logits, gradients = [], []
    for make in (usual, lambda: build("cnn", params)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            model = make()
            logits.append(model(images))
        logits[-1].square().sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    assert torch.allclose(logits[0], logits[1], rtol=1e-4, atol=1e-6)
    for one, other in zip(*gradients, strict=True):
        assert one is not None
        assert other is not None
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-5)


def test_five_double_blocks_with_global_average_pooling_can_be_described() -> None:
    widths = (64, 128, 256, 512, 512)
    blocks = [{"channels": width, "convolutions": 2, "pool": width < 512} for width in widths]
    model = shapes_only("cnn", {"blocks": blocks, "average": True, "hidden": []})
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [width for width in widths for _ in range(2)]
    assert [layer.in_features for layer in model.modules() if isinstance(layer, nn.Linear)] == [512]
    assert model.eval()(torch.zeros(2, 3, 32, 32, device="meta")).shape == (2, 100)


SIZES = (8, 28, 32, 224)  # pixels
NETWORKS = [
    ("cnn", {}, SIZES),
    ("cnn", {"blocks": [{"channels": 8, "pool": False}, {"channels": 8, "kernel": 5}], "average": True, "hidden": []}, SIZES),
    ("resnet", {"stem": "stock"}, SIZES),
    *(("resnet", {"stem": stem, "head": [{"units": 16, "batch_norm": True}]}, SIZES) for stem in ("3x3", "3x3-maxpool")),
    ("efficientnet", {"stem": "stock"}, SIZES),
    ("efficientnet", {"stem": "small", "head": [{"units": 16}]}, SIZES),
    ("convnext", {"stem": "stock"}, (32, 224)),
    ("convnext", {"stem": "small", "head": [{"units": 16}]}, (7, *SIZES)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("trainer", "params", "sizes"), NETWORKS)
def test_images_of_every_size_become_logits(trainer: str, params: dict[str, Any], sizes: tuple[int, ...]) -> None:
    for size in sizes:
        for channels in (1, 3) if size == 32 else (3,):
            model = shapes_only(trainer, params, ImageShape(channels=channels, size=size)).eval()
            assert model(torch.zeros(2, channels, size, size, device="meta")).shape == (2, 100), f"{channels}×{size}×{size}"


@pytest.mark.slow
@pytest.mark.parametrize(("family", "name"), [(family, name) for family in FAMILIES for name in architectures(family)])
def test_every_architecture_is_built_as_torchvision_publishes_it(family: str, name: str) -> None:
    model = shapes_only(family, {"architecture": name, "stem": "stock"}).eval()
    assert model(torch.zeros(2, 3, 32, 32, device="meta")).shape == (2, 100)
    published = torchvision.models.get_model_weights(name).DEFAULT.meta["num_params"]
    head = model.get_submodule(TRAINERS[family].trainer._head)
    (width,) = (layer.in_features for layer in head.modules() if isinstance(layer, nn.Linear))
    assert parameters(model) == published - 900 * (width + 1)  # 100 classes instead of 1000


def test_stems_shrink_the_image_as_they_say() -> None:
    def features(trainer: str, stem: str, layer: str) -> int:
        sizes = []
        model = shapes_only(trainer, {"stem": stem}).eval()
        model.get_submodule(layer).register_forward_hook(lambda module, inputs, output: sizes.append(output.shape[-1]))
        model(torch.zeros(1, 3, 32, 32, device="meta"))
        return int(sizes[0])

    assert [features("resnet", stem, "layer1") for stem in ("3x3", "3x3-maxpool", "stock")] == [32, 16, 8]
    assert [features("efficientnet", stem, "features.1") for stem in ("small", "stock")] == [32, 16]
    assert [features("convnext", stem, "features.2") for stem in ("small", "stock")] == [16, 4]


# The smallest of each family. With a head of its own, because that is where gradients could be lost.
SMALLEST = [
    ("cnn", {"blocks": [{"channels": 8}, {"channels": 8, "convolutions": 2}], "hidden": [16, 16]}),
    ("resnet", {"architecture": "resnet18", "head": [{"units": 16, "batch_norm": True, "dropout": 0.1}, {"units": 16}]}),
    ("efficientnet", {"architecture": "efficientnet_b0", "head": [{"units": 16}]}),
    ("convnext", {"architecture": "convnext_tiny", "head": [{"units": 16}]}),
]


@pytest.mark.parametrize(
    ("trainer", "params"),
    [pytest.param(*one, marks=() if one[0] in ("cnn", "resnet") else pytest.mark.slow) for one in SMALLEST],
)
def test_gradients_reach_every_parameter_and_the_layout_changes_no_number(trainer: str, params: dict[str, Any]) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build(trainer, params, 10, ImageShape(channels=3, size=16))
        images, labels = torch.randn(16, 3, 16, 16), torch.arange(16) % 10
        loss: torch.Tensor = nn.functional.cross_entropy(model(images), labels)
    loss.backward()  # type: ignore[no-untyped-call]  # torch does not say its type
    missed = [name for name, parameter in model.named_parameters() if parameter.grad is None or not parameter.grad.any()]
    assert missed == []

    model.eval()
    other = copy.deepcopy(model).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        logits = model(images)
        assert torch.allclose(other(images.to(memory_format=torch.channels_last)), logits, rtol=1e-3, atol=1e-4)
    assert logits.std() > 1e-3


@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_phase_of_the_head_alone_finds_it(trainer: str) -> None:
    model = shapes_only(trainer, {})
    head = model.get_submodule(TRAINERS[trainer].trainer._head)
    assert [layer.out_features for layer in head.modules() if isinstance(layer, nn.Linear)][-1] == 100
    assert 0 < parameters(head) < parameters(model)


def test_without_layers_of_its_own_a_head_is_the_networks_last_layer() -> None:
    last = nn.Linear(8, 3)
    head = make_head(last, (), 0.4)
    assert head[-1] is last
    assert isinstance(head[0], nn.Dropout)
    assert head[0].p == 0.4


def test_a_head_is_made_of_its_layers_in_their_order() -> None:
    layers = (HeadLayer(units=16, batch_norm=True, dropout=0.5), HeadLayer(units=4, dropout=0.3))
    head = make_head(nn.Linear(8, 3), layers, 0.2)
    kinds = [type(module).__name__ for module in head]
    assert kinds == ["Dropout", "Linear", "BatchNorm1d", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    assert [module.p for module in head if isinstance(module, nn.Dropout)] == [0.5, 0.3, 0.2]
    linear = [module for module in head if isinstance(module, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(8, 16), (16, 4), (4, 3)]
    assert [layer.bias is None for layer in linear] == [True, False, False]


BLOCK = {"channels": 8}
OTHER_BLOCKS: Mapping[str, Any] = {
    "channels": 4,
    "convolutions": 2,
    "kernel": 5,
    "batch_norm": False,
    "bias": True,
    "pool": False,
    "dropout": 0.5,
}


@pytest.mark.parametrize("field", OTHER_BLOCKS)
def test_every_setting_of_a_block_acts(field: str) -> None:
    def losses(block: dict[str, Any]) -> tuple[float, ...]:
        return begin("cnn", digits_data(), 1, batch_size=12, blocks=[block], hidden=[]).epoch().batch_losses

    (usual,) = complete(plugins.trainer("cnn").hyperparameters, {"blocks": [BLOCK]})["blocks"]
    assert usual.keys() == OTHER_BLOCKS.keys()
    assert losses({**BLOCK, field: OTHER_BLOCKS[field]}) != losses(BLOCK)


def test_dense_layers_and_averaging_act() -> None:
    data = digits_data()
    blocks = [BLOCK, BLOCK]
    others: list[dict[str, Any]] = [{"hidden": []}, {"hidden": [16]}, {"hidden": [16, 16]}, {"hidden": [], "average": True}]
    losses = {begin("cnn", data, 1, batch_size=12, blocks=blocks, **dense).epoch().batch_losses for dense in others}
    assert len(losses) == len(others)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"blocks": []}, "blocks must be 1 to 16"),
        ({"blocks": [{"channels": 8, "kernel": 4}]}, "kernel must be odd"),
        ({"blocks": [{"channels": 8, "width": 4}]}, "'width'"),
        ({"blocks": [{"convolutions": 2}]}, "'channels' has no default"),
        ({"hidden": [0]}, "hidden"),
        ({"blocks": [{"channels": 4}] * 4}, "block 4 has nothing to pool"),
        ({"blocks": [{"channels": 4}] * 3, "average": True}, "nothing to average"),
    ],
)
def test_blocks_that_cannot_be_built_or_would_do_nothing_are_refused(params: dict[str, Any], message: str) -> None:
    data = digits_data()
    with pytest.raises(InvalidInput, match=message):
        plugins.trainer("cnn").check(asked("cnn", params), data.info, data.folder)


@pytest.mark.parametrize(
    ("trainer", "params", "message"),
    [
        ("resnet", {"architecture": "resnet20"}, "resnet18, resnet34"),
        ("resnet", {"architecture": "efficientnet_b0"}, "wide_resnet101_2"),
        ("efficientnet", {"architecture": "efficientnet_b9"}, "efficientnet_v2_s"),
        ("convnext", {"architecture": "convnext"}, "convnext_tiny"),
        ("resnet", {"stem": "5x5"}, "'3x3-maxpool'"),
        ("efficientnet", {"stem": "3x3"}, "'small', 'stock'"),
        ("resnet", {"head": [{"units": 0}]}, "units"),
        ("resnet", {"head": [{"dropout": 0.1}]}, "'units' has no default"),
        ("resnet", {"head": [{"units": 8, "dropout": 1.0}]}, "dropout"),
    ],
)
def test_what_is_not_known_is_refused_with_what_is(trainer: str, params: dict[str, Any], message: str) -> None:
    data = digits_data()
    with pytest.raises(InvalidInput, match=message):
        plugins.trainer(trainer).check(asked(trainer, params), data.info, data.folder)


def test_images_too_small_for_a_stem_are_refused_before_any_trial() -> None:
    data = digits_data()
    with pytest.raises(InvalidInput, match="needs images of 32 pixels at least, not 8"):
        plugins.trainer("convnext").check(asked("convnext", {"stem": "stock"}), data.info, data.folder)
