"""The protocol of schedulers: they see learning curves and decide where epochs are spent."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, final

from orchestrator.record import Status


class Decision(enum.Enum):
    """What happens to a run after an epoch."""

    GO_ON = "go on"
    PAUSE = "pause"  # checkpointed; the scheduler may resume it later
    STOP = "stop"  # pruned


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What a scheduler sees of a run: `values[e - 1]` is its objective value after epoch e."""

    run_id: str
    number: int
    status: Status
    values: tuple[float, ...]  # NaN where nothing finite was measured yet


class Scheduler(Protocol):
    """Decides where epochs are spent. Pure: the same curves give the same decisions."""

    @property
    def pauses(self) -> bool:
        """Whether it pauses runs, which it may want again when the study is extended, even after they ended as PRUNED."""

    def next_rung(self, epochs: int) -> int:
        """The epoch after which it wants to decide next, for a run that has trained `epochs` epochs; more than `epochs`."""

    def decide(self, curve: Curve, others: Sequence[Curve]) -> Decision:
        """What happens to the run with this curve; `others` are all other runs of the study."""

    def resume(self, paused: Sequence[Curve], others: Sequence[Curve], *, last: bool) -> str | None:
        """The run_id of the paused run to resume, or None to begin a new one.

        With `last` none is begun any more: when nothing runs and this is None, the paused runs end as PRUNED.
        """
