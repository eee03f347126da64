"""The command line: parse, call, print. Each command imports what it needs, so that --help is quick."""

import contextlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO

import click

from orchestrator.cli.interruptions import Terminated, raise_interruptions
from orchestrator.cli.lazy_group import LazyGroup
from orchestrator.cli.messages import say
from orchestrator.cli.process_list import hide_passwords_from_process_list
from orchestrator.errors import DiskError, OrchestrateError

# In the order of a day's work.
_MODULES = {
    "study": "study",
    "retrain-best": "retrain",
    "retrain": "retrain",
    "train": "train",
    "baselines": "baselines",
    "recipe": "train",
    "submit": "submit",
    "leaderboard": "leaderboard",
    "status": "status",
    "enqueue": "enqueue",
    "stop": "stop",
    "mirror": "mirror",
    "data": "data",
}

# \b keeps click from joining the lines that follow.
_HELP = """Search for the best hyperparameters of an image classifier, train the best one fully, write the submission.

\b
orchestrate study part2 --trials 40   search; the same command goes on after an interruption
orchestrate retrain-best              train the best setting fully, test it, write submission.csv
orchestrate leaderboard               all runs as a table
orchestrate train 001-P2              train one recipe without a search; `orchestrate baselines` lists fifteen

Exit codes: 0 done, 1 every trial or the run failed, 2 wrong usage or an unknown name, 65 bad data, 66 missing input, 69 a
service cannot be reached, 74 disk trouble, 75 another process has the study, 78 plan or options differ from the study's,
130 Ctrl-C, 143 terminated.
"""

_CARRY_ON = "what was recorded stands, and the same command carries on"


@click.group(
    cls=LazyGroup,
    modules=_MODULES,
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.version_option(package_name="sweep-conductor", prog_name="orchestrate")
def cli() -> None:
    """Every command is below this one."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script. Ends the process with one of the exit codes that `orchestrator.errors` lists."""
    raise_interruptions()
    if arguments is None:
        hide_passwords_from_process_list()
    code = run(lambda: _invoke(sys.argv[1:] if arguments is None else arguments))
    for stream in (sys.stdout, sys.stderr):
        _settle(stream)
    if arguments is None:
        # All is written and all processes are ended. Python would take apart the libraries first: three quarters of a second.
        os._exit(code)
    sys.exit(code)


def run(command: Callable[[], Any]) -> int:
    """Call a command and turn how it ended into an exit code and, for an error, one message on stderr."""
    try:
        result = command()
        if sys.stdout is not None:  # it is None when its descriptor was closed before we began
            sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        say(f"error: {_advised(error)}")
        return error.exit_code
    except OrchestrateError as error:
        say(f"error: {error}")
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        say(f"interrupted; {_CARRY_ON}")
        return 130
    except Terminated:
        say(f"terminated; {_CARRY_ON}")
        return 143
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        return 0
    except OSError as error:
        say(f"error: {error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        return DiskError.exit_code


def _invoke(arguments: Sequence[str]) -> Any:
    """Call the command that these words name; unlike `cli.main` this leaves interruptions and closed pipes to `run`."""
    try:
        with cli.make_context("orchestrate", list(arguments)) as context:
            return cli.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code


def _advised(error: click.ClickException) -> str:
    """Click's message in our style, with the way to the help."""
    message = error.format_message().rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    advice = f" (see: {context.command_path} --help)" if context is not None else ""
    return message[:1].lower() + message[1:] + advice


def _settle(stream: TextIO | None) -> None:
    """Write what is still buffered, or send it nowhere: Python would end with an exit code of its own over it."""
    if stream is None:  # its descriptor was closed before we began
        return
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(io.UnsupportedOperation, ValueError):  # it is no file, or is closed
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
