"""Pretrained weights: found, fetched and checked; loaded so that the network does what they were trained to do."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torchvision

from orchestrator import plugins
from orchestrator.errors import BadData, InvalidInput, MissingInput, UnknownName
from orchestrator.hyperparameters import divide
from orchestrator.recipe import Recipe
from tests.helpers.http_server import Server, serving
from tests.helpers.training_runs import asked, begin, digits_data, random_data, weights
from trainers import convnext, efficientnet, resnet
from trainers.loop.preprocessing import ImageShape
from trainers.loop.trainer import SupervisedTrainer
from trainers.pretrained import loading, weight_files

CONTENT = b"not really weights"


@pytest.fixture(autouse=True)
def no_other_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """torch's own cache is empty here, whatever this machine has."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def small(server: Server, content: bytes = CONTENT) -> weight_files.PublishedWeights:
    """Weights that this server publishes, named as torchvision names them."""
    file = f"small-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    server.files[f"/{file}"] = content
    return weight_files.PublishedWeights(name="small-V1", url=f"{server.address}/{file}")


def state_of(architecture: str, file: Path) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = torchvision.models.get_model(architecture, weights=None)
    torch.save(model.state_dict(), file)
    return model.eval()


def named(file: Path) -> dict[str, Any]:
    """As a recipe names a file of weights."""
    return {"weights": str(file), "weights_sha256": hashlib.sha256(file.read_bytes()).hexdigest()}


def small_state_of(architecture: str, file: Path) -> dict[str, torch.Tensor]:
    """Weights for a network of any size in a file of some kilobytes: each tensor is one number, seen in the tensor's shape."""
    with torch.device("meta"):
        shapes = torchvision.models.get_model(architecture, weights=None).state_dict()
    numbers = torch.rand(len(shapes), generator=torch.Generator().manual_seed(5))
    state = {
        name: number.clone().to(value.dtype).expand(value.shape)
        for number, (name, value) in zip(numbers, shapes.items(), strict=True)
    }
    torch.save(state, file)
    return state


def test_torchvisions_names_are_known() -> None:
    assert "resnet50-IMAGENET1K_V1" in weight_files.fetchable()
    assert weight_files.published("resnet50", "IMAGENET1K_V1").file == "resnet50-0676ba61.pth"
    assert weight_files.published("resnet50", "IMAGENET1K_V1").checksum.digits == "0676ba61"
    assert weight_files.published("resnet101", "IMAGENET1K_V2").file == "resnet101-cd907fc2.pth"
    names = weight_files.fetchable()
    assert len(names) == len(set(names)) > 30
    for name in ("resnext50_32x4d-IMAGENET1K_V2", "wide_resnet101_2-IMAGENET1K_V1", "efficientnet_v2_s-IMAGENET1K_V1"):
        assert name in names
    for name in names:
        architecture, weights = name.split("-", 1)
        # Without the start of its sum in the file's name nothing that is downloaded could be checked.
        assert re.fullmatch("[0-9a-f]{8}", weight_files.published(architecture, weights).checksum.digits), name
    with pytest.raises(UnknownName, match="resnet50-IMAGENET1K_V1"):
        weight_files.fetch("resnet50-IMAGENET1K_V3", Path("nowhere"))


def test_fetched_once_checked_and_found(server: Server, tmp_path: Path) -> None:
    published = small(server)
    with pytest.raises(MissingInput):
        published.find(tmp_path)
    assert published.fetch(tmp_path) == tmp_path / "weights" / published.file
    published.fetch(tmp_path)
    assert published.find(tmp_path).read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_wrong_or_broken_download_leaves_nothing(server: Server, tmp_path: Path) -> None:
    published = small(server)
    server.cut_after = 5
    with pytest.raises(MissingInput, match="by hand: copy small-"):
        published.fetch(tmp_path)
    server.cut_after = None
    server.files[f"/{published.file}"] = b"something else"
    with pytest.raises(BadData, match="does not serve the expected file"):
        published.fetch(tmp_path)
    assert list((tmp_path / "weights").iterdir()) == []


def test_an_altered_file_is_named_unless_torchs_cache_has_the_right_one(server: Server, tmp_path: Path) -> None:
    published = small(server)
    own, cached = published.paths(tmp_path)
    assert cached.is_relative_to(tmp_path / "torch")
    own.parent.mkdir()
    own.write_bytes(CONTENT[:-1])
    with pytest.raises(BadData, match=f"{published.file} is truncated or altered"):
        published.find(tmp_path)
    cached.parent.mkdir(parents=True)
    cached.write_bytes(CONTENT)
    assert published.find(tmp_path) == cached


def test_missing_weights_are_noticed_before_any_trial_with_both_ways_to_get_them(tmp_path: Path) -> None:
    _, _, plan = plugins.plan("part3")
    info = plugins.dataset("cifar100").info(tmp_path)
    params = plan("cifar100", info).recipe.params
    with pytest.raises(MissingInput) as caught:
        plugins.trainer("resnet").check(asked("resnet", params), info, tmp_path)
    message = str(caught.value)
    assert "orchestrate data fetch resnet50-IMAGENET1K_V1" in message
    assert (
        f"copy resnet50-0676ba61.pth (published at https://download.pytorch.org/models/resnet50-0676ba61.pth) into {tmp_path}"
        in message
    )


@pytest.mark.parametrize(
    ("weights", "error"),
    [("IMAGENET1K_V7", InvalidInput), ("nowhere/some.pth", MissingInput)],
)
def test_weights_that_nobody_has_are_refused(weights: str, error: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(error, match="IMAGENET1K_V1"):
        plugins.trainer("resnet").check(asked("resnet", {"weights": weights}), plugins.dataset("digits").info(tmp_path), tmp_path)


def test_files_that_are_no_fitting_weights_are_bad_data(tmp_path: Path) -> None:
    info = plugins.dataset("digits").info(tmp_path)
    trainer = plugins.trainer("resnet")
    file = tmp_path / "weights.pth"
    file.write_bytes(b"rubbish")
    with pytest.raises(BadData, match="cannot be read as weights"):
        trainer.check(asked("any", named(file)), info, tmp_path)
    torch.save([1, 2], file)
    with pytest.raises(BadData, match="state dict"):
        trainer.check(asked("any", named(file)), info, tmp_path)
    small_state_of("resnet18", file)
    trainer.check(asked("any", named(file)), info, tmp_path)
    with pytest.raises(BadData, match="does not fit"):
        trainer.check(asked("any", {**named(file), "architecture": "resnet34"}), info, tmp_path)
    state = torch.load(file, weights_only=True)
    for value in (float("nan"), float("inf"), 1j):
        changed = torch.full_like(state["conv1.weight"], value, dtype=torch.complex64 if value == 1j else None)
        torch.save({**state, "conv1.weight": changed}, file)
        with pytest.raises(BadData, match=r"cannot be used: its conv1\.weight has values that are no finite numbers"):
            trainer.check(asked("any", named(file)), info, tmp_path)


def test_a_recipe_says_which_content_its_file_of_weights_has(tmp_path: Path) -> None:
    info = plugins.dataset("digits").info(tmp_path)
    trainer = plugins.trainer("resnet")
    file = tmp_path / "weights" / "own.pth"
    file.parent.mkdir()
    small_state_of("resnet18", file)
    content = named(file)
    with pytest.raises(InvalidInput, match=f'"weights_sha256": "{content["weights_sha256"]}"'):
        trainer.check(asked("any", {"weights": str(file)}), info, tmp_path)
    trainer.check(asked("any", {**content, "weights": "own.pth"}), info, tmp_path)  # below the data folder, wherever that lies
    with pytest.raises(MissingInput, match="no file of weights own"):
        trainer.check(asked("any", {**content, "weights": "own.pth"}), info, tmp_path / "elsewhere")
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(BadData, match="is not the file that the recipe names"):
        trainer.check(asked("any", content), info, tmp_path)


def test_a_model_that_was_found_to_fit_is_not_built_again_unless_its_weights_change(tmp_path: Path) -> None:
    info = plugins.dataset("digits").info(tmp_path)
    built: list[resnet.Hyperparameters] = []

    def build(hyperparameters: resnet.Hyperparameters, classes: int, image: ImageShape) -> torch.nn.Module:
        built.append(hyperparameters)
        return resnet.build(hyperparameters, classes, image)

    trainer = SupervisedTrainer(
        build=build,
        hyperparameters=resnet.Hyperparameters,
        pretrain=resnet.pretrain,
        head="fc",
    )
    file = tmp_path / "own.pth"
    small_state_of("resnet18", file)
    params = named(file)
    for batch_size in (16, 32, 64):
        trainer.check(asked("any", {**params, "batch_size": batch_size}), info, tmp_path)
    assert len(built) == 1
    trainer.check(asked("any", {**params, "dropout": 0.5}), info, tmp_path)
    assert len(built) == 2
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(BadData, match="is not the file that the recipe names"):
        trainer.check(asked("any", params), info, tmp_path)
    file.unlink()
    with pytest.raises(MissingInput):
        trainer.check(asked("any", params), info, tmp_path)


@pytest.mark.parametrize("weights", ["", "IMAGENET1K_V1"])
def test_a_sum_without_a_file_is_refused(weights: str, tmp_path: Path) -> None:
    params = {"weights": weights, "weights_sha256": "0" * 64}
    with pytest.raises(InvalidInput, match="belongs to a file of weights"):
        plugins.trainer("resnet").check(asked("resnet", params), plugins.dataset("digits").info(tmp_path), tmp_path)


def test_a_sum_that_is_none_is_refused(tmp_path: Path) -> None:
    for wrong in ("0" * 63, "0" * 65, "g" * 64, "A" * 64):
        with pytest.raises(InvalidInput, match="64 hexadecimal digits"):
            plugins.trainer("resnet").check(
                asked("resnet", {"weights": "own.pth", "weights_sha256": wrong}),
                plugins.dataset("digits").info(tmp_path),
                tmp_path,
            )


def test_a_file_that_would_run_code_is_not_run(tmp_path: Path) -> None:
    file, mark = tmp_path / "weights.pth", tmp_path / "mark"

    class Marks:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (mark,)

    torch.save({"conv1.weight": Marks()}, file)
    with pytest.raises(BadData):
        loading.read(file)
    assert not mark.exists()


def test_pretrained_networks_see_what_the_weights_saw(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    published = state_of("resnet18", file)
    published.fc = torch.nn.Identity()
    images = torch.randn(2, 1, 64, 64)
    for channels in (3, 1):
        settings = resnet.Hyperparameters(stem="stock", **named(file))
        model = resnet.build(settings, 10, ImageShape(channels=channels, size=64))
        resnet.pretrain(model, settings, tmp_path)
        model.fc = torch.nn.Identity()
        with torch.inference_mode():
            # A grey image, once as three equal channels and once as one whose filters were summed.
            features = model.eval()(images.expand(-1, channels, -1, -1))
            assert torch.allclose(features, published(images.expand(-1, 3, -1, -1)), atol=1e-4)


def test_training_begins_at_the_weights_but_for_head_and_changed_stem(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    state = state_of("resnet18", file).state_dict()
    training = begin("resnet", digits_data(), 1, **named(file), stem="3x3")
    own = weights(training)
    for name, value in own.items():
        if name != "conv1.weight" and not name.startswith("fc."):
            assert torch.equal(value, state[name]), name
    assert own["conv1.weight"].shape == (64, 1, 3, 3)
    # A snapshot needs no file of weights any more.
    snapshot = training.snapshot()
    file.unlink()
    plugins.trainer("resnet").restore(snapshot, "cpu")


def test_a_head_is_not_trained_alone_above_a_stem_that_the_weights_do_not_fit(tmp_path: Path) -> None:
    """Its filters would stay random, and the BatchNorm above them would have the figures of others."""
    file = tmp_path / "weights.pth"
    state_of("resnet18", file)
    info = digits_data().info
    phases = [{"epochs": 2, "layers": "head"}, {"epochs": 3}]
    trainer = plugins.trainer("resnet")
    for stem in ("3x3", "3x3-maxpool"):
        params = {**named(file), "stem": stem, "phases": phases}
        with pytest.raises(InvalidInput, match="cannot be trained alone above conv1, which would stay random"):
            trainer.check(asked("resnet", params), info, tmp_path)
        trainer.check(asked("resnet", {**params, "phases": []}), info, tmp_path)
    trainer.check(asked("resnet", {**named(file), "stem": "stock", "phases": phases}), info, tmp_path)


@pytest.mark.slow
def test_part3_trains_resnet50_from_a_file_at_the_enlarged_size(tmp_path: Path) -> None:
    file = tmp_path / "resnet50.pth"
    state_of("resnet50", file)
    _, _, make_plan = plugins.plan("part3")
    info = plugins.dataset("cifar100").info(tmp_path)
    plan = make_plan("cifar100", info)
    params = {**plan.recipe.params, **named(file), "batch_size": 4, "learning_rate": 1e-3}
    plugins.trainer("resnet").check(asked("resnet", params), info, tmp_path)
    data = random_data(info, train=8, validation=4)
    recipe = Recipe(plan="part3", trainer="resnet", dataset="cifar100", epochs=1, seed=0, params=params)
    training = plugins.trainer("resnet").begin(recipe, data, "cpu")
    epoch = training.epoch()
    assert len(epoch.batch_losses) == 2
    snapshot = training.snapshot()
    assert snapshot["preprocessing"]["size"] == 128
    probabilities = plugins.trainer("resnet").restore(snapshot, "cpu")(data.validation_images)
    assert probabilities.shape == (4, 100)


FAMILIES = [
    (resnet, "resnext50_32x4d", {"stem": "3x3-maxpool"}, ("conv1.", "fc.")),
    (resnet, "wide_resnet50_2", {"stem": "stock", "head": [{"units": 8}]}, ("fc.",)),
    (efficientnet, "efficientnet_b0", {"stem": "small"}, ("classifier.",)),
    (efficientnet, "efficientnet_v2_s", {"stem": "stock", "head": [{"units": 8}]}, ("classifier.",)),
    (convnext, "convnext_tiny", {"stem": "small"}, ("classifier.2.",)),
]


@pytest.mark.parametrize(
    ("module", "architecture", "params", "new"),
    [pytest.param(*one, marks=() if one[1] in ("resnext50_32x4d", "efficientnet_b0") else pytest.mark.slow) for one in FAMILIES],
)
def test_networks_of_every_family_begin_at_their_weights(
    module: ModuleType, architecture: str, params: dict[str, Any], new: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / f"{architecture}.pth"
    state = small_state_of(architecture, file)
    assert file.stat().st_size < 1_000_000  # bytes
    (settings,) = divide((module.Hyperparameters,), {**params, **named(file), "architecture": architecture})
    model = module.build(settings, 100, ImageShape(channels=3, size=32))
    before = {name: value.clone() for name, value in model.state_dict().items() if name.startswith(new)}
    module.pretrain(model, settings, tmp_path)
    own = model.state_dict()
    for name, value in own.items():
        assert torch.equal(value, before[name] if name.startswith(new) else state[name]), name
    assert any(name.startswith(new) for name in state)


def test_filters_of_a_pretrained_stem_see_grey_images_as_three_equal_channels(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    state = small_state_of("efficientnet_b0", file)
    (settings,) = divide((efficientnet.Hyperparameters,), named(file))
    model = efficientnet.build(settings, 10, ImageShape(channels=1, size=8))
    efficientnet.pretrain(model, settings, tmp_path)
    filters = model.state_dict()["features.0.0.weight"]
    assert torch.allclose(filters, state["features.0.0.weight"].sum(dim=1, keepdim=True))
