"""CIFAR-100 (Krizhevsky 2009): 60,000 colour photographs, 32×32 pixels, 100 classes."""

from types import MappingProxyType

from orchestrator.contracts import DataSetInfo
from trainers.datasets._cifar import Cifar, Published

PUBLISHED = Published(
    name="cifar100",
    title="CIFAR-100",
    url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    archive_md5="eb9058c3a382ffc7106e4002c42a8d85",
    folder="cifar-100-python",
    train=MappingProxyType({"train": "16019d7e3df5f24257cddd939b257f8d"}),
    test=MappingProxyType({"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"}),
    meta=MappingProxyType({"meta": "7973b15100ade9c7d40fb424638fde48"}),
    labels_key="fine_labels",
    names_key="fine_label_names",
)

INFO = DataSetInfo(
    classes=100,
    channels=3,
    size=32,
    mean=(0.50708, 0.48655, 0.44092),
    std=(0.26733, 0.25644, 0.27615),
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
