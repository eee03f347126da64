"""How many workers fit into a cluster, and with how many threads."""

from fractions import Fraction

import pytest

from orchestrator.errors import InvalidInput, Unavailable
from orchestrator.executors.ray_placement import Node, Placement, placement

GPU_NODE = Node(cpus=16, gpus=4)
CPU_NODE = Node(cpus=8, gpus=0)
HEAD = Node(cpus=0, gpus=0)


@pytest.mark.parametrize(
    ("nodes", "device", "workers", "per_device", "slots", "threads", "gpu_share"),
    [
        ([HEAD, CPU_NODE, CPU_NODE], "auto", "auto", 1, 2, 8, 0),
        ([HEAD, CPU_NODE, CPU_NODE], "cpu", "auto", 4, 8, 2, 0),
        ([CPU_NODE, Node(cpus=4, gpus=0)], "cpu", "auto", 1, 2, 4, 0),  # all with the threads of the smallest
        ([CPU_NODE, Node(cpus=4, gpus=0)], "cpu", "3", 1, 3, 4, 0),
        ([CPU_NODE], "cpu", "3", 1, 3, 2, 0),
        ([CPU_NODE], "cpu", "20", 1, 20, 1, 0),  # only 8 of them have room
        ([CPU_NODE, GPU_NODE, GPU_NODE], "auto", "auto", 1, 8, 4, 1),
        ([GPU_NODE], "cuda", "auto", 2, 8, 2, Fraction(1, 2)),
        ([GPU_NODE], "cuda", "3", 2, 3, 2, Fraction(1, 2)),
        ([GPU_NODE], "cpu", "auto", 1, 1, 16, 0),
    ],
)
def test_slots_threads_and_shares(
    nodes: list[Node], device: str, workers: str, per_device: int, slots: int, threads: int, gpu_share: Fraction
) -> None:
    found = placement(nodes, device=device, workers=workers, per_device=per_device)
    assert found == Placement(slots=slots, threads=threads, gpu_share=Fraction(gpu_share))


def test_room_is_counted_machine_by_machine() -> None:
    two_cores = Placement(slots=9, threads=2, gpu_share=Fraction(0))
    assert two_cores.room([Node(cpus=3, gpus=0), Node(cpus=1, gpus=0), CPU_NODE]) == 1 + 0 + 4
    half_gpu = Placement(slots=9, threads=2, gpu_share=Fraction(1, 2))
    assert half_gpu.room([CPU_NODE, GPU_NODE, Node(cpus=2, gpus=4)]) == 0 + 8 + 1
    assert half_gpu.room([]) == 0


@pytest.mark.parametrize("per_device", range(1, 9))
def test_auto_asks_for_no_more_than_there_is_room_for(per_device: int) -> None:
    for nodes in ([GPU_NODE, GPU_NODE], [CPU_NODE, GPU_NODE], [CPU_NODE]):
        found = placement(nodes, device="auto", workers="auto", per_device=per_device)
        assert found.room(nodes) >= found.slots or found.threads == 1


@pytest.mark.parametrize(
    ("nodes", "device", "workers", "error", "says"),
    [
        ([CPU_NODE], "cuda", "auto", Unavailable, "no machine of the cluster has a GPU"),
        ([HEAD], "auto", "auto", Unavailable, "offers a CPU core"),
        ([], "cpu", "auto", Unavailable, "offers a CPU core"),
        ([Node(cpus=0, gpus=1)], "cuda", "auto", Unavailable, "1 cores and the GPU"),
        ([GPU_NODE], "cuda:1", "auto", InvalidInput, "use auto, cpu or cuda"),
        ([GPU_NODE], "mps", "auto", InvalidInput, "use auto, cpu or cuda"),
        ([CPU_NODE], "cpu", "none", InvalidInput, "--workers must be"),
        ([CPU_NODE], "cpu", "0", InvalidInput, "--workers must be"),
    ],
)
def test_what_cannot_be_is_refused(nodes: list[Node], device: str, workers: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        placement(nodes, device=device, workers=workers, per_device=1)
