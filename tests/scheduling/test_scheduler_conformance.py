"""What every scheduler promises, of the one that ships."""

import pytest

from orchestrator.scheduling.base import Scheduler
from orchestrator.scheduling.promotion import Promotion
from orchestrator.testing.scheduler import SchedulerConformance


class TestPromotion(SchedulerConformance):
    @pytest.fixture
    def scheduler(self) -> Scheduler:
        return Promotion(epochs=self.epochs, direction="maximize")
