"""A signal that arrives while a module is imported waits until it can be raised."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

_MODULE = """
import os, signal, time
os.kill(os.getpid(), signal.{name})
time.sleep(0.2)
print("imported", flush=True)
"""
_PROGRAM = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.{before})
sys.path.insert(0, {folder!r})
from orchestrator.cli.process.interruptions import Terminated, raise_interruptions
raise_interruptions()
try:
    import interrupted_module
    time.sleep(2)
    print("ended")
except Terminated:
    print("terminated")
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize(
    ("name", "before", "said"),
    [
        ("SIGTERM", "default_int_handler", ["imported", "terminated"]),
        ("SIGINT", "default_int_handler", ["imported", "interrupted"]),
        ("SIGINT", "SIG_IGN", ["imported", "ended"]),
    ],
)
def test_a_signal_within_an_import_waits_for_its_end(name: str, before: str, said: list[str], tmp_path: Path) -> None:
    assert hasattr(signal, name)
    (tmp_path / "interrupted_module.py").write_text(_MODULE.format(name=name))
    program = _PROGRAM.format(before=before, folder=str(tmp_path))
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.split() == said


@pytest.mark.parametrize(("name", "said"), [("SIGTERM", "terminated"), ("SIGINT", "interrupted")])
def test_a_signal_at_any_other_time_is_raised_at_once(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "interrupted_module.py").write_text("")
    program = _PROGRAM.format(before="default_int_handler", folder=str(tmp_path)).replace(
        "time.sleep(2)", f"import os; os.kill(os.getpid(), signal.{name}); time.sleep(2)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.split() == [said]


_CALL = """
import os, signal, sys, time
sys.path.insert(0, {folder!r})
from orchestrator.cli.process.interruptions import ctrl_c_outside_imports
signal.signal(signal.SIGINT, signal.{before})
if {alarm}:
    signal.signal(signal.SIGALRM, lambda number, frame: print("alarm"))
before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGALRM, signal.SIGTERM)]
try:
    with ctrl_c_outside_imports():
        import interrupted_module
        time.sleep(0.5)
        print("ended")
except KeyboardInterrupt:
    print("interrupted")
print(before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGALRM, signal.SIGTERM)])
"""


@pytest.mark.parametrize(
    ("before", "alarm", "said"),
    [
        ("default_int_handler", False, ["imported", "interrupted", "True"]),
        ("SIG_IGN", False, ["imported", "ended", "True"]),
        ("default_int_handler", True, ["interrupted", "True"]),  # the alarm has a meaning of its own: nothing is changed
    ],
)
def test_a_call_from_python_leaves_the_handlers_as_they_were(before: str, alarm: bool, said: list[str], tmp_path: Path) -> None:
    """Here the call itself is within an import, of the user's script: that does not keep Ctrl-C from it."""
    (tmp_path / "interrupted_module.py").write_text(_MODULE.format(name="SIGINT"))
    (tmp_path / "script.py").write_text(_CALL.format(before=before, alarm=alarm, folder=str(tmp_path)))
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import script"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.split() == said
