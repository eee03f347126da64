"""CIFAR-10 (Krizhevsky 2009): 60,000 colour photographs, 32×32 pixels, 10 classes."""

from types import MappingProxyType

from orchestrator.contracts import DataSetInfo
from trainers.datasets._cifar import Cifar, Published

PUBLISHED = Published(
    name="cifar10",
    title="CIFAR-10",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    archive_md5="c58f30108f718f92721af3b95e74349a",
    folder="cifar-10-batches-py",
    train=MappingProxyType(
        {
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        }
    ),
    test=MappingProxyType({"test_batch": "40351d587109b95175f43aff81a1287e"}),
    meta=MappingProxyType({"batches.meta": "5ff9c542aee3614f3951f8cda6e48888"}),
    labels_key="labels",
    names_key="label_names",
)

INFO = DataSetInfo(
    classes=10,
    channels=3,
    size=32,
    mean=(0.49140, 0.48216, 0.44653),
    std=(0.24703, 0.24349, 0.26159),
    padding=4,
    flip=True,
    train_images=50_000,
    validation_images=5_000,
    confirmation_images=5_000,
    batch_sizes=(64, 128, 256, 512),  # 625 to 78 steps in an epoch
    trial_epochs=15,
    retrain_epochs=100,
)

dataset = Cifar(PUBLISHED, INFO)
