"""Where epochs are spent: schedulers, which see curves and decide."""

from collections.abc import Callable, Sequence
from typing import final

from orchestrator.scheduling.base import Curve, Decision


@final
class Pruning:
    """Optuna's pruners as a scheduler: after every epoch one of them is asked whether the run is worth going on with.

    `prunes` answers for a run of the study that it belongs to, by its number: the pruner sees all curves there.
    """

    def __init__(self, prunes: Callable[[int], bool]) -> None:
        self._prunes = prunes

    @property
    def pauses(self) -> bool:
        """Never."""
        return False

    def next_rung(self, epochs: int) -> int:
        """Every epoch."""
        return epochs + 1

    def decide(self, curve: Curve, others: Sequence[Curve]) -> Decision:  # noqa: ARG002 - the pruner sees them in its study
        """STOP where the pruner says so."""
        return Decision.STOP if self._prunes(curve.number) else Decision.GO_ON

    def resume(self, paused: Sequence[Curve], others: Sequence[Curve], *, last: bool) -> str | None:  # noqa: ARG002 - a pruner pauses nothing
        """The first one: it was put by when the study was asked for fewer trials, and now it is asked for more."""
        return paused[0].run_id if paused else None


@final
class NoPruning:
    """Every run is trained out."""

    @property
    def pauses(self) -> bool:
        """Never."""
        return False

    def next_rung(self, epochs: int) -> int:  # noqa: ARG002 - wherever it stands
        """Beyond any run's end: workers never wait."""
        return 2**31

    def decide(self, curve: Curve, others: Sequence[Curve]) -> Decision:  # noqa: ARG002 - nothing to weigh
        """GO_ON."""
        return Decision.GO_ON

    def resume(self, paused: Sequence[Curve], others: Sequence[Curve], *, last: bool) -> str | None:  # noqa: ARG002 - nothing is paused here
        """The first one: it was put by when the study was asked for fewer trials, and now it is asked for more."""
        return paused[0].run_id if paused else None
