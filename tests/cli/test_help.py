"""The help of every command."""

import inspect
import re
from collections.abc import Iterator

import click
import pytest

from orchestrator import cli
from tests.helpers.in_process_cli import call
from tests.helpers.vocabulary import LONGEST_SENTENCE, RETIRED

COMMANDS = [
    "study",
    "retrain-best",
    "retrain",
    "train",
    "baselines",
    "recipe",
    "submit",
    "leaderboard",
    "show",
    "status",
    "studies",
    "studies list",
    "studies rename",
    "studies archive",
    "studies delete",
    "enqueue",
    "stop",
    "mirror",
    "data",
    "data fetch",
    "data verify",
    "data preview",
]


def texts(command: click.Command) -> Iterator[str]:
    """All that the help of a command says in sentences."""
    yield from (inspect.cleandoc(command.help or ""), command.short_help or "")
    yield from (parameter.help or "" for parameter in command.params if isinstance(parameter, click.Option))


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text, in which a line of a table counts as one."""
    for paragraph in text.split("\n\n"):
        parts = paragraph.split("\n") if paragraph.startswith("\b") else [paragraph.replace("\n", " ")]
        yield from (sentence for part in parts for sentence in re.split(r"(?<=[.!?])\s+", part))


def commands(group: click.Group, path: tuple[str, ...] = ()) -> dict[str, click.Command]:
    """All commands below a group, by their words."""
    context = click.Context(group)
    found: dict[str, click.Command] = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found[" ".join((*path, name))] = command
        if isinstance(command, click.Group):
            found |= commands(command, (*path, name))
    return found


def test_the_commands_are_those_that_are_documented() -> None:
    assert sorted(commands(cli.cli)) == sorted(COMMANDS)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_written_in_short_sentences_and_the_usual_words(command: str) -> None:
    for text in texts(commands(cli.cli)[command] if command else cli.cli):
        assert not RETIRED.search(text), text
        for sentence in sentences(text):
            assert len(sentence.split()) <= LONGEST_SENTENCE, sentence


@pytest.mark.parametrize(
    ("text", "lengths"),
    [("One two. Three\nfour!\n\nFive", [2, 2, 1]), ("\b\nOne two\nthree.\n\nFour.", [1, 2, 1, 1]), ("", [0])],
)
def test_sentences_end_with_their_sign_or_in_a_table_with_their_line(text: str, lengths: list[int]) -> None:
    assert [len(sentence.split()) for sentence in sentences(text)] == lengths


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_explains_every_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = call(capsys, *command.split(), "--help")
    assert (result.code, result.messages) == (0, "")
    assert result.output.startswith(f"Usage: orchestrate {command}".rstrip())
    assert "\\b" not in result.output
    assert "RANGE" not in result.output
    assert "DIRECTORY" not in result.output
    assert all(len(line) <= 120 for line in result.output.splitlines())
    parameters = commands(cli.cli)[command].params if command else cli.cli.params
    for parameter in parameters:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.name} is not explained"
            assert parameter.opts[0] in result.output
        else:
            explained = result.output.split("Options:")[0].split("\n", 1)[1]
            assert parameter.human_readable_name.strip("[].").upper() in explained


def test_the_first_help_fits_on_a_screen_and_shows_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    output = call(capsys, "--help").output
    assert len(output.splitlines()) <= 40
    for line in ("orchestrate study part2 --trials 40 ", "orchestrate retrain-best ", "orchestrate leaderboard "):
        assert any(found.strip().startswith(line) for found in output.splitlines()), line
    assert "..." not in output.split("Commands:")[1]


def test_no_command_at_all_is_answered_with_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    result = call(capsys)
    assert result.code == 2
    assert result.output == ""
    assert "Commands:" in result.messages
