"""Commands, and a group of them that imports a command when it is called and answers an unknown name with the known ones."""

import importlib
from collections import Counter
from collections.abc import Mapping
from typing import Any, cast, final

import click

from orchestrator.cli.messages import say
from orchestrator.cli.options import SettingOption
from orchestrator.cli.process.standard_streams import only_data_on_stdout
from orchestrator.errors import UnknownName
from orchestrator.storage import settings
from orchestrator.support.activity import doing


@final
class Command(click.Command):
    """A command of this program: while it works, only data reach stdout. Its help, which click prints, comes before."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line, and check the settings files where the command has defaults from them.

        Raises BadSettings, and click's UsageError, also for an option that is given twice: one would do nothing.
        """
        if not ctx.resilient_parsing:
            _, _, given = self.make_parser(ctx).parse_args(args=list(args))
            counts = Counter(parameter for parameter in given if isinstance(parameter, click.Option) and not parameter.multiple)
            for option, count in counts.items():
                if count > 1:
                    raise click.UsageError(f"{option.opts[0]} is given twice", ctx)
        left = super().parse_args(ctx, args)
        if not ctx.resilient_parsing and any(isinstance(parameter, SettingOption) for parameter in self.params):
            for note in settings.notes():
                say(note)
        return left

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command's function. Returns its exit code, None for 0."""
        with only_data_on_stdout(), doing(f"{ctx.command_path} is still at work"):
            return super().invoke(ctx)


@final
class LazyGroup(click.Group):
    """A click group; `modules` maps each command, in the order of the help, to the module of this package that defines it.

    Where it has a `default`, the options of that command need no command before them, and so it is what no word at all means.
    """

    command_class = Command  # of what is defined with the group's own decorator

    def __init__(
        self, *arguments: Any, modules: Mapping[str, str] | None = None, default: str | None = None, **settings: Any
    ) -> None:
        super().__init__(*arguments, **settings)
        self._modules = modules or {}
        self._default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line. Raises click's UsageError."""
        named = bool(args) and (not args[0].startswith("-") or args[0] in ctx.help_option_names)
        if self._default is not None and not named and not ctx.resilient_parsing:
            args = [self._default, *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return [*self._modules, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        if cmd_name not in self._modules:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(f"orchestrator.cli.{self._modules[cmd_name]}")
        return cast(click.Command, module.COMMANDS[cmd_name])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name. Raises UnknownName."""
        known = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in known:
            raise UnknownName("command", args[0], known, f"see: {ctx.command_path} --help")
        return super().resolve_command(ctx, args)
