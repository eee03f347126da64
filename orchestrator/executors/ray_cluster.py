"""Ray's cluster, as the executor needs it: to become part of it, to look at its machines, to say why something was lost.

Import Ray from here, because its environment must be set before it is imported.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orchestrator.errors import InvalidInput, OrchestrateError, Unavailable
from orchestrator.executors.devices import worker_settings
from orchestrator.executors.ray_placement import Node
from orchestrator.support.atomic_files import disk_errors

__all__ = ["actor_variables", "connect", "new_folder", "nodes", "ray", "reason"]

# Read by Ray when it is imported or begins: no usage reports, nothing rewritten in the environment of a worker
# without a GPU, about which Ray would warn, and no line of its own on stdout, where our data goes.
_FOR_RAY = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under `uv run` it would send another folder than ours
}
os.environ.update({name: value for name, value in _FOR_RAY.items() if name not in os.environ})

try:
    import ray
except ImportError as error:
    raise Unavailable("--executor ray needs Ray; install it with: pip install 'sweep-conductor[ray]'") from error

# Bytes that Ray may keep in memory on this machine, when it is started here: a checkpoint of a ResNet-50 with momentum is 200 MB.
_OBJECT_STORE_BYTES = 512 * 2**20

_SECONDS_TO_REACH = 5.0  # the head of a cluster
_SECONDS_TO_CONNECT = 30.0  # a process of its own to the cluster, which takes 2 to 8


def new_folder() -> Path:
    """A new folder for our code and for Ray's files, below the one that RAY_TMPDIR names. Raises DiskError."""
    place = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    with disk_errors(f"write {place}"):
        Path(place).mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="orchestrate-", dir=place))  # a short path: Ray puts sockets below it


def actor_variables(threads: int) -> dict[str, str]:
    """The environment variables of an actor, beside those of its machine."""
    return {**worker_settings(threads), "RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "0"}  # each actor sees its own GPU only


def connect(address: str, own: Path, runtime_env: Mapping[str, Any]) -> None:
    """Become part of the cluster, or start one here with its files in `own`. Raises InvalidInput or Unavailable."""
    if ray.is_initialized():
        raise OrchestrateError("this process is connected to Ray already; end that with ray.shutdown() first")
    # Again, as a call from Python takes them away at its end.
    os.environ.update({name: value for name, value in _FOR_RAY.items() if name not in os.environ})
    options: dict[str, Any] = {"address": address}
    if not address:
        options = {"address": "local", "object_store_memory": _OBJECT_STORE_BYTES, "include_dashboard": False}
        options["_temp_dir"] = str(own)
    else:
        _check(address)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**options, log_to_driver=False, logging_level="CRITICAL", runtime_env=dict(runtime_env))
    except (ConnectionError, RuntimeError, ValueError, TimeoutError, ray.exceptions.RayError) as error:
        raise Unavailable(f"Ray cannot be used{f' at {address}' if address else ''}: {_last_line(str(error))}") from error
    finally:
        if signal.getsignal(signal.SIGTERM) is not handler:
            signal.signal(signal.SIGTERM, handler)  # Ray puts its own there, which would end this process its own way


def nodes() -> list[Node]:
    """The machines that are there now."""
    return [
        Node(cpus=int(node["Resources"].get("CPU", 0)), gpus=int(node["Resources"].get("GPU", 0)))
        for node in ray.nodes()
        if node["Alive"]
    ]


def reason(error: Exception) -> str:
    """What Ray says, without its advice and its numbers."""
    text = str(error)
    if "node has died" in text or "node was" in text:
        return "its machine is gone"
    if isinstance(error, ray.exceptions.RuntimeEnvSetupError) or "runtime environment" in text:
        return "the code could not be copied to its machine; check that its disk has room for Ray's files"
    if isinstance(error, ray.exceptions.ActorUnavailableError):
        return "it does not answer"
    if isinstance(error, ray.exceptions.ActorDiedError):
        return "its process ended"
    return " ".join(text.split())[:200] or type(error).__name__


def _check(address: str) -> None:
    """Try to connect in another process first: without an answer Ray itself tries for many minutes and ignores signals."""
    if "://" in address:
        raise InvalidInput(
            f"--ray-address (or RAY_ADDRESS) {address!r} must be HOST:PORT or auto; run the command on a machine of the cluster"
        )
    if address != "auto":
        try:
            socket.create_connection(_host_and_port(address), _SECONDS_TO_REACH).close()
        except OSError as error:
            raise Unavailable(f"nothing answers at --ray-address {address} ({error}); is the cluster running?") from error
    program = "import sys, ray; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR')"
    try:
        tried = subprocess.run(
            [sys.executable, "-c", program, address],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS_TO_CONNECT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(
            f"no Ray cluster answered at --ray-address {address}; it may hang, or require a token (RAY_AUTH_MODE=token)"
        ) from error
    if tried.returncode:
        raise Unavailable(f"cannot connect to --ray-address {address} from this machine: {_last_line(tried.stderr)}")


def _host_and_port(address: str) -> tuple[str, int]:
    """The parts of HOST:PORT, where HOST may be [an IPv6 address]. Raises InvalidInput."""
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:  # of a port or of brackets that cannot be
        host = port = None
    if not host or port is None or address.lower() not in (f"{host}:{port}", f"[{host}]:{port}"):
        raise InvalidInput(f"--ray-address (or RAY_ADDRESS) {address!r} must be HOST:PORT or auto")
    return host, port


def _last_line(text: str) -> str:
    return next((line.strip()[:300] for line in reversed(text.splitlines()) if line.strip()), "no reason given")
