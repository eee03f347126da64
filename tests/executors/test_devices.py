"""How workers are spread over devices and cores, and the environment that they start with."""

import os
import platform
import subprocess
import sys

import pytest

from orchestrator.executors.devices import assign_devices, worker_settings


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are those of GNU's malloc, which is not used here")
def test_a_worker_keeps_the_memory_of_a_step_for_the_next_one() -> None:
    program = """if True:
        import resource
        faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        def step():
            before = faults()
            b"x" * (64 << 20)
            return faults() - before
        step()
        print(sum(step() for _ in range(5)) / 5)
    """

    def faults_per_step(settings: dict[str, str]) -> float:
        own = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
        done = subprocess.run(
            [sys.executable, "-c", program], env={**own, **settings}, check=True, capture_output=True, text=True, timeout=60
        )
        return float(done.stdout)

    assert faults_per_step({}) > 10_000  # 64 MiB in pages of 4 KiB
    assert faults_per_step(worker_settings(1)) < 100


def test_what_the_user_set_for_workers_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    assert worker_settings(3)["MALLOC_TRIM_THRESHOLD_"] == "1000000"
    assert worker_settings(3)["OMP_NUM_THREADS"] == "3"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch is always asked")
@pytest.mark.parametrize(("files", "devices"), [((), ("cpu",)), (("null",), ("cuda:0", "cuda:1"))])
def test_torch_is_asked_for_gpus_where_the_system_has_a_device_of_one(
    files: tuple[str, ...], devices: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.executors.devices._GPU_DEVICES", files)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert assign_devices("auto", "auto").devices == devices
    assert assign_devices("cuda", "auto").devices == ("cuda:0", "cuda:1")
