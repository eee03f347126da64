"""The command line: parse, call, print. Each command imports what it needs, to keep --help fast."""

import contextlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO

import click

from orchestrator import own_packages
from orchestrator.cli.lazy_group import LazyGroup
from orchestrator.cli.messages import advised, heartbeat, of_the_disk, say
from orchestrator.cli.process.interruptions import Terminated, raise_interruptions
from orchestrator.cli.process.process_list import hide_passwords_from_process_list
from orchestrator.cli.process.standard_streams import prepare
from orchestrator.errors import DiskError, OrchestrateError
from orchestrator.support import fault_injection
from orchestrator.support.environment import remove_switches
from orchestrator.support.names import checked_text
from orchestrator.support.wording import one_line

# Command -> module, in the order of the help.
_MODULES = {
    "study": "study",
    "retrain-best": "retrain",
    "retrain": "retrain",
    "train": "train",
    "baselines": "baselines",
    "recipe": "train",
    "submit": "submit",
    "leaderboard": "leaderboard",
    "show": "show",
    "status": "status",
    "studies": "studies",
    "enqueue": "enqueue",
    "stop": "stop",
    "mirror": "mirror",
    "data": "data",
}

# \b keeps click from joining the lines that follow.
_HELP = """Search for the best hyperparameters of an image classifier, train the best fully and write a submission.

\b
Examples:
  orchestrate study part2 --trials 40   Search. Run it again to resume.
  orchestrate retrain-best              Train the best setting fully, test it and write submission.csv.
  orchestrate leaderboard               List all runs, best first.
  orchestrate train 001-P2              Train one recipe without a search.

\b
Exit codes:
   0 done                            69 service unreachable
   1 the run or every trial failed   74 disk error
   2 wrong usage or unknown name     75 another process uses the study
  65 invalid data                    78 plan or options differ from the study's, or settings are wrong
  66 missing input                   130 Ctrl-C, 143 SIGTERM
"""

_RESUME = "progress is saved; run the same command to resume"


@click.group(
    cls=LazyGroup,
    modules=_MODULES,
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.version_option(package_name="sweep-conductor", prog_name="orchestrate")
def cli() -> None:
    """The group of all commands."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script. Exits with one of the codes in `orchestrator.errors`."""
    raise_interruptions()
    if arguments is None:
        hide_passwords_from_process_list()
        prepare()
    with heartbeat():
        code = run(lambda: invoke(sys.argv[1:] if arguments is None else arguments))
    for stream in (sys.stdout, sys.stderr, sys.__stdout__):
        _flush(stream)
    if arguments is None:
        # Output is flushed and child processes have ended; Python's own shutdown of the libraries takes .75 s.
        os._exit(code)
    sys.exit(code)


def run(command: Callable[[], Any]) -> int:
    """Call a command. Returns its exit code, after one message on stderr if it failed."""
    try:
        result = command()
        if sys.stdout is not None:  # None when its descriptor was closed before the start
            sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        say(f"error: {advised(error)}")
        return error.exit_code
    except OrchestrateError as error:
        say("\n  ".join([f"error: {one_line(error.message)}", *map(one_line, error.items)]))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        say(f"interrupted; {_RESUME}")
        return 130
    except Terminated:
        say(f"terminated; {_RESUME}")
        return 143
    except MemoryError as error:
        say(f"error: there is not enough memory{f' ({one_line(error)})' if str(error) else ''}")
        return OrchestrateError.exit_code
    except BrokenPipeError:  # the reader closed the pipe, as `| head` does
        return 0
    except OSError as error:
        say(f"error: {of_the_disk(error)}")
        return DiskError.exit_code


def invoke(arguments: Sequence[str]) -> Any:
    """Call the command that the arguments name. Unlike `cli.main` this leaves interruptions and closed pipes to `run`.

    Raises InvalidInput for words, and for variables, that no command can use; OrchestrateError, or one of click's, as the
    command does.
    """
    remove_switches()
    fault_injection.check_variable()
    own_packages.check()
    for argument in arguments:
        checked_text(argument)
    try:
        with own_packages.blame_hidden_library(), cli.make_context("orchestrate", list(arguments)) as context:
            return cli.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code


def _flush(stream: TextIO | None) -> None:
    """Flush the stream, or redirect it to nowhere: an error at exit would change Python's exit code."""
    if stream is None:  # its descriptor was closed before the start
        return
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(io.UnsupportedOperation, ValueError):  # not a file, or closed
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
