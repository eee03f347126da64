"""One Ray cluster of several nodes for all tests of a folder: real raylets, all on this machine, with a core each to offer."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.executors.ray import RayActors

NODES = 2  # that offer a core; the head offers none


@functools.cache
def cluster() -> Any:
    """The cluster, which ends with this process at the latest."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(NODES):
        made.add_node(num_cpus=1)
    return made


def end() -> None:
    """End the cluster where there is one; the next call of `cluster` makes another."""
    if cluster.cache_info().currsize:
        import ray

        ray.shutdown()
        cluster().shutdown()
        cluster.cache_clear()


def actors(folder: Path, *, workers: str = "1", say: Callable[[str], None] = lambda line: None, **more: Any) -> RayActors:
    """Workers on the cluster, for a study in `folder`."""
    folder.mkdir(exist_ok=True)
    settings = {"address": cluster().address, "device": "cpu", "per_device": 1, **more}
    return RayActors(workers=workers, data_folder=folder, folder=folder, logs=folder / "logs", say=say, **settings)
