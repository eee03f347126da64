"""The scheduler that trains every run fully."""

from collections.abc import Sequence
from typing import final

from orchestrator.scheduling.base import Curve, Decision


@final
class NoPruning:
    """Every run is trained fully."""

    @property
    def pauses(self) -> bool:
        """Never."""
        return False

    def next_rung(self, epochs: int) -> int:  # noqa: ARG002 - the same after every epoch
        """Beyond any run's end: workers never wait."""
        return 2**31

    def decide(self, curve: Curve, others: Sequence[Curve]) -> Decision:  # noqa: ARG002 - nothing to weigh
        """GO_ON."""
        return Decision.GO_ON

    def resume(self, paused: Sequence[Curve], others: Sequence[Curve], *, last: bool) -> str | None:  # noqa: ARG002 - nothing is paused here
        """The first one: it was suspended when the study was asked for fewer trials, and now it is asked for more."""
        return paused[0].run_id if paused else None
