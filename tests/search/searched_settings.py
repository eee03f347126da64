"""Searches over every setting that the documents name, with choices as the documents write them, on digits (8×8 grey pixels)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class SearchedSetting:
    """A setting and its choices; `texts` are further ways to write them, by the number of the choice, as a user types them.

    `begins` is false where a run cannot begin here: pretrained weights would have to be fetched.
    """

    setting: str
    choices: Sequence[Any]
    texts: Mapping[int, Sequence[str]] = field(default_factory=dict)
    trainer: str = "cnn"
    fixed: Mapping[str, Any] = field(default_factory=dict)
    begins: bool = True
    epochs: int = 2

    @property
    def name(self) -> str:
        return f"{self.trainer}-{self.setting}".replace("_", "-")


_ONE_BLOCK = {"blocks": [{"channels": 8}]}

LOOP = (
    SearchedSetting(setting="batch_size", choices=[32, 64], texts={0: ["32.0"], 1: ["6.4e1"]}),
    SearchedSetting(setting="learning_rate", choices=[0.001, 0.1], texts={0: ["1e-3", ".001"], 1: ["1E-1", "+.1"]}),
    SearchedSetting(setting="weight_decay", choices=[0, 5e-4], texts={0: ["0.0", "-0.0"], 1: ["5e-4"]}),
    SearchedSetting(setting="label_smoothing", choices=[0, 0.1], texts={0: ["0.0"], 1: [".1"]}),
    SearchedSetting(
        setting="optimizer",
        choices=[
            "sgd",
            {"name": "adam"},
            {"name": "adamw", "beta2": 0.99},
            "nadam",
            {"name": "radam"},
            {"name": "sgd", "nesterov": False},
            "adamw",
        ],
        texts={
            0: ['{"name": "sgd"}', '{"nesterov":true,"name":"sgd"}', '"sgd"'],
            1: ["adam"],
            2: ['{"beta2": 0.99, "name": "adamw"}'],
            3: ['{"name":"nadam"}'],
            4: ["radam"],
        },
    ),
    SearchedSetting(setting="momentum", choices=[0.5, 0.9], texts={0: [".5"], 1: ["9e-1"]}),
    SearchedSetting(
        setting="schedule",
        epochs=10,
        choices=[
            "constant",
            {"name": "cosine"},
            {"name": "cosine", "per": "epoch"},
            "one-cycle",
            {"name": "warm-up-stable-decay", "decay": 0.5},
            "warm-up-stable-decay",
            {"name": "step", "every": 4},
            {"name": "multi-step", "at": [5, 7]},
            {"name": "plateau", "patience": 1},
            "plateau",
        ],
        texts={
            0: ['{"name":"constant"}'],
            1: ["cosine", '{"per": "step", "name": "cosine"}'],
            3: ['{"name": "one-cycle", "start": 4e-2}'],
            6: ['{"every":4,"name":"step","factor":0.1}'],
            7: ['{"name": "multi-step", "at": [5, 7], "factor": 1e-1}'],
        },
    ),
    SearchedSetting(setting="warmup", choices=[0, 0.2], texts={0: ["0.0"], 1: [".2"]}),
    SearchedSetting(
        setting="phases",
        epochs=5,
        choices=[[], [{"epochs": 2, "layers": "head"}, {"epochs": 3, "layers": "all", "rate": 0.1}]],
        texts={0: ["none", "null", "[]"], 1: ['[{"layers": "head", "epochs": 2, "rate": 1}, {"epochs": 3, "rate": 1e-1}]']},
    ),
    SearchedSetting(setting="clip", choices=[0, 1.5], texts={0: ["0.0"], 1: ["15e-1"]}),
    SearchedSetting(
        setting="averaging",
        epochs=8,
        choices=["none", "ema", {"name": "swa", "start": 0.5}, {"name": "ema", "decay": 0.9}, "swa"],
        texts={0: ["null", "none", "None"], 1: ['{"name": "ema"}', '{"decay":0.999,"name":"ema"}'], 4: ['{"name":"swa"}']},
    ),
    SearchedSetting(setting="patience", epochs=5, choices=[0, 1, 2], texts={1: ["1.0"]}),
    SearchedSetting(
        setting="mixing",
        choices=[
            None,
            "mixup",
            {"name": "cutmix"},
            [{"name": "mixup", "probability": 0.5}, {"name": "cutmix", "probability": 0.5}],
        ],
        texts={
            0: ["none", "null", "[]"],
            1: ["mixup", '[{"name": "mixup"}]', '{"name":"mixup","alpha":0.2,"probability":1}', '["mixup"]'],
            2: ["cutmix", '["cutmix"]'],
        },
    ),
    SearchedSetting(setting="normalisation", choices=["data-set", "half"], texts={1: ['"half"']}),
    SearchedSetting(setting="resize", choices=[0, 12], texts={1: ["12.0"]}),
    SearchedSetting(setting="center_crop", choices=[0, 6], fixed=_ONE_BLOCK, texts={1: ["6.0"]}),
    SearchedSetting(setting="precision", choices=["auto", "float32", "bfloat16"], texts={2: ['"bfloat16"']}),
)

AUGMENTATION = (
    SearchedSetting(
        setting="augmentation",
        choices=[
            None,
            [],
            ["crop"],
            [{"name": "flip"}],
            ["rotation"],
            [{"name": "color-jitter", "brightness": 0.2}],
            ["rand-augment"],
            [{"name": "trivial-augment"}],
            ["aug-mix"],
            [{"name": "random-resized-crop"}],
            ["erasing"],
            [{"name": "cutout", "size": 4}],
            ["noise"],
            [{"name": "blur"}],
            ["jpeg"],
            ["flip", {"name": "crop", "padding": 1}, {"name": "erasing", "probability": 0.05}],
        ],
        texts={
            0: ["null", "None"],
            1: ["[ ]"],
            2: ['[{"name": "crop"}]', '[{"padding": 4, "name": "crop"}]'],
            3: ["flip", '["flip"]', '[{"probability":0.5,"name":"flip"}]', '{"name": "flip"}'],
            4: ['[{"name": "rotation"}]', '[{"name": "rotation", "degrees": 15.0}]'],
            6: ['[{"name": "rand-augment"}]'],
            7: ['["trivial-augment"]'],
            8: ['[{"name": "aug-mix"}]'],
            9: ['["random-resized-crop"]'],
            10: ['[{"name": "erasing"}]'],
            12: ['[{"name": "noise"}]'],
            13: ['["blur"]'],
            14: ['[{"name": "jpeg"}]'],
            15: ['[{"name": "flip"}, {"name": "crop", "padding": 1}, {"name": "erasing", "probability": 5e-2}]'],
        },
    ),
)

_HEADS: Mapping[str, Any] = {
    "choices": [[], [{"units": 8}], [{"units": 8, "batch_norm": True, "dropout": 0.5}, {"units": 4}]],
    "texts": {1: ['[{"units": 8, "dropout": 0}]'], 2: ['[{"dropout": 0.5, "batch_norm": true, "units": 8}, {"units": 4}]']},
}


def _of_family(trainer: str, architectures: Sequence[str]) -> Iterator[SearchedSetting]:
    """The settings of a family of large networks, none of which is built here."""
    rows: Mapping[str, Mapping[str, Any]] = {
        "architecture": {"choices": architectures},
        "stem": {"choices": ["small", "stock"]},
        "head": _HEADS,
        "dropout": {"choices": [0, 0.5]},
        "weights": {"choices": ["", "IMAGENET1K_V1"]},
        "weights_sha256": {"choices": ["0" * 64, "f" * 64], "fixed": {"weights": "own.pth"}},
    }
    for setting, row in rows.items():
        yield SearchedSetting(trainer=trainer, setting=setting, begins=False, **row)


MODELS = (
    SearchedSetting(
        setting="blocks",
        choices=[[{"channels": 8}], [{"channels": 8, "convolutions": 2, "batch_norm": False}, {"channels": 8, "pool": False}]],
        texts={0: ['[{"channels": 8, "dropout": 0}]', '[{"convolutions":1,"channels":8,"bias":null}]']},
    ),
    SearchedSetting(setting="average", choices=[False, True], fixed=_ONE_BLOCK, texts={0: ["false"], 1: ["true", "True"]}),
    SearchedSetting(setting="hidden", choices=[[], [16], [16, 8]], fixed=_ONE_BLOCK, texts={0: ["[]"], 2: ["[16,8]", "[16, 8]"]}),
    SearchedSetting(setting="dropout", choices=[0, 0.5], texts={0: ["0.0"], 1: [".5"]}),
    SearchedSetting(
        trainer="resnet", begins=False, setting="architecture", choices=["resnet18", "resnet34"], texts={0: ['"resnet18"']}
    ),
    SearchedSetting(
        trainer="resnet", begins=False, setting="stem", choices=["3x3", "3x3-maxpool", "stock"], texts={1: ['"3x3-maxpool"']}
    ),
    SearchedSetting(trainer="resnet", begins=False, setting="head", **_HEADS),
    SearchedSetting(trainer="resnet", setting="dropout", choices=[0, 0.5], texts={0: ["0.0"]}),
    SearchedSetting(trainer="resnet", setting="weights", choices=["", "IMAGENET1K_V1"], begins=False),
    SearchedSetting(
        trainer="resnet", setting="weights_sha256", choices=["0" * 64, "f" * 64], fixed={"weights": "own.pth"}, begins=False
    ),
    *_of_family("efficientnet", ["efficientnet_b0", "efficientnet_v2_s"]),
    *_of_family("convnext", ["convnext_tiny", "convnext_small"]),
)

EVERY = (*LOOP, *AUGMENTATION, *MODELS)
