"""`orchestrator.study`: the command `orchestrate study`, called from Python.

The options are parsed by the command itself, so checks, defaults and messages are the same.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator import own_packages, plugins
from orchestrator.cli.messages import advised, heartbeat, of_the_disk, say, told_to
from orchestrator.cli.options import CALLED
from orchestrator.cli.parameter_types import Duration
from orchestrator.cli.process.interruptions import ctrl_c_outside_imports
from orchestrator.cli.study import conduct
from orchestrator.cli.study import study as command
from orchestrator.errors import DiskError, InvalidInput
from orchestrator.support.activity import doing
from orchestrator.support.environment import without_switches
from orchestrator.support.names import checked_text

if TYPE_CHECKING:
    from orchestrator.sessions.outcome import StudyOutcome


def study(plan: str | Path, options: Mapping[str, object], reader: Callable[[str], None] | None) -> "StudyOutcome":
    """Hold a session of a study. `options` have the names of the command's with underscores; None leaves one out.

    Messages go to `reader`, or to stderr. Raises OrchestrateError, and KeyboardInterrupt once all is recorded.
    """
    with told_to(reader), heartbeat(), ctrl_c_outside_imports(), without_switches(), own_packages.blame_hidden_library():
        own_packages.check()
        plugins.forget_own()
        try:
            context = command.make_context("orchestrate study", _words(plan, options), obj=CALLED)
            parameters = {name: value for name, value in context.params.items() if name != "form"}
            with doing("the study is still at work"):
                return conduct(**parameters)
        except click.ClickException as error:
            raise InvalidInput(advised(error)) from error
        except OSError as error:
            raise DiskError(of_the_disk(error)) from error
        except KeyboardInterrupt:
            say("interrupted; progress is saved; the same call resumes the study")
            raise


def _words(plan: str | Path, options: Mapping[str, object]) -> list[str]:
    """The command line that says the same. Raises InvalidInput."""
    known = {option.opts[0]: option for option in command.params if isinstance(option, click.Option)}
    words = []
    for name, value in options.items():
        option = known[f"--{name.replace('_', '-')}"]
        if value is None:
            continue
        if option.is_flag:
            if not isinstance(value, bool):
                raise InvalidInput(f"{name} is True or False, not {value!r}")
            words += [option.opts[0]] if value else []
        else:
            seconds = isinstance(option.type, Duration) and isinstance(value, int | float) and not isinstance(value, bool)
            words.append(f"{option.opts[0]}={f'{value:.3f}s' if seconds else value}")
    words += ["--", str(plan)]
    for word in words:
        checked_text(word)
    return words
