"""How many workers fit into a cluster, and what each may use: arithmetic, so that it can be tested without a cluster."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from orchestrator.errors import InvalidInput, Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What one machine of a cluster brings."""

    cpus: int
    gpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The workers of a study on a cluster: `slots` of them, with so many threads and this share of a GPU each."""

    slots: int
    threads: int
    gpu_share: Fraction  # 0 on a CPU

    def room(self, nodes: Sequence[Node]) -> int:
        """How many of these workers the machines can hold at a time."""
        return sum(_fitting(node, self.threads, self.gpu_share) for node in nodes)


def placement(nodes: Sequence[Node], *, device: str, workers: str, per_device: int) -> Placement:
    """The workers that `--workers` and `--workers-per-device` ask for on these machines.

    A worker takes its share of a GPU, or on machines without one its share of the cores; a machine's cores are one device. Every
    worker gets the same number of threads, because sums of floats depend on it: as many as the smallest machine can give.
    Raises InvalidInput for what is no number of workers and for a device that only one machine could have, Unavailable when no
    worker fits at all.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise InvalidInput(f"device {device!r} cannot be chosen on a cluster: use auto, cpu or cuda")
    if workers != "auto" and not re.fullmatch("[1-9][0-9]{0,4}", workers):
        raise InvalidInput(f"--workers must be auto or a whole number from 1 to 99999, not {workers!r}")
    with_gpu = [node for node in nodes if node.gpus]
    if device == "cuda" and not with_gpu:
        raise Unavailable("no machine of the cluster has a GPU; use --device auto or cpu")
    if with_gpu and device != "cpu":
        slots = sum(node.gpus for node in with_gpu) * per_device if workers == "auto" else int(workers)
        threads = min(max(1, node.cpus // (node.gpus * per_device)) for node in with_gpu)
        chosen = Placement(slots=slots, threads=threads, gpu_share=Fraction(1, per_device))
    else:
        with_cpu = [node for node in nodes if node.cpus]
        if not with_cpu:
            raise Unavailable("no machine of the cluster offers a CPU core")
        slots = len(with_cpu) * per_device if workers == "auto" else int(workers)
        threads = _threads(with_cpu, slots)
        chosen = Placement(slots=slots, threads=threads, gpu_share=Fraction(0))
    if not chosen.room(nodes):
        raise Unavailable(f"no machine of the cluster has the {chosen.threads} cores and the GPU that a worker needs")
    return chosen


def _threads(nodes: Sequence[Node], slots: int) -> int:
    """The most threads with which so many workers fit, and 1 when they never do."""
    for threads in range(max(node.cpus for node in nodes), 1, -1):
        if sum(node.cpus // threads for node in nodes) >= slots:
            return threads
    return 1


def _fitting(node: Node, threads: int, gpu_share: Fraction) -> int:
    by_cpus = node.cpus // threads
    return min(by_cpus, int(node.gpus / gpu_share)) if gpu_share else by_cpus
