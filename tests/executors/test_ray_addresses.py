"""Addresses of clusters that do not answer, or cannot be addresses; and no Ray at all."""

import socket
import time
from pathlib import Path

import pytest

from orchestrator.errors import InvalidInput, Unavailable
from tests.helpers.paths import PLUGINS
from tests.helpers.subprocess_cli import run as run_command


@pytest.fixture(autouse=True)
def in_plugin_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLUGINS)


def refused(tmp_path: Path, address: str) -> None:
    from orchestrator.executors.ray import RayActors

    RayActors(
        address=address,
        device="cpu",
        workers="1",
        per_device=1,
        data_folder=tmp_path,
        folder=tmp_path,
        logs=tmp_path / "logs",
        say=lambda line: None,
    )


def test_a_cluster_that_does_not_answer_is_missed_quickly(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(Unavailable, match=f"nothing answers at --ray-address 127.0.0.1:{port}"):
        refused(tmp_path, f"127.0.0.1:{port}")
    assert time.monotonic() - began < 8.0
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


@pytest.mark.slow
def test_what_answers_is_no_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.executors.ray_cluster._SECONDS_TO_CONNECT", 6.0)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(Unavailable, match="no Ray cluster answered"),
    ):
        refused(tmp_path, f"127.0.0.1:{server.getsockname()[1]}")


@pytest.mark.parametrize(
    "address",
    [
        "nonsense",
        "host:port",
        ":6379",
        "ray://host:10001",
        "host:99999",
        "host:６３７９",
        "[::1:6379",
        "::1:6379",
        "user@host:6379",
        "host:6379/x",
        "host:6379?x",
        "host:6379#x",
    ],
)
def test_an_address_that_cannot_be_one(tmp_path: Path, address: str) -> None:
    with pytest.raises(InvalidInput, match="must be HOST:PORT or auto"):
        refused(tmp_path, address)


@pytest.mark.parametrize("address", ["[::1]", "127.0.0.1", "LocalHost"])
def test_a_host_of_any_form_is_asked(tmp_path: Path, address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unavailable, match="nothing answers at --ray-address") as missed:
        refused(tmp_path, f"{address}:{port}")
    assert not isinstance(missed.value.__cause__, socket.gaierror)  # which is of a name that nobody has


def test_without_ray_the_message_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken" / "ray"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('Ray is not installed')")
    monkeypatch.setenv("PYTHONPATH", str(broken.parent))
    words: list[str | Path] = ["study", "curves", "--trials", "1", "--runs", tmp_path / "runs", "--data-dir", tmp_path]
    _, messages = run_command(*words, "--executor", "ray", "--mirror", "off", code=69)
    assert "pip install 'sweep-conductor[ray]'" in messages
    assert "Traceback" not in messages
    assert not (tmp_path / "runs" / "curves").exists()
