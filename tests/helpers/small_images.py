"""What is known of small images: two classes, eight pixels a side."""

from orchestrator.contracts import DataSetInfo


def small_images_info() -> DataSetInfo:
    return DataSetInfo(
        classes=2,
        channels=3,
        size=8,
        mean=(0.5, 0.4, 0.3),
        std=(0.2, 0.25, 0.3),
        padding=2,
        flip=True,
        train_images=4,
        validation_images=1,
        confirmation_images=1,
        batch_sizes=(2,),
        trial_epochs=1,
        retrain_epochs=1,
    )
