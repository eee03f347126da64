"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, final

import click
from click.core import ParameterSource

from orchestrator.cli.messages import say
from orchestrator.cli.parameter_types import Location, OneOf
from orchestrator.errors import BadSettings, InvalidInput, OrchestrateError
from orchestrator.storage import remembered_folders, settings
from orchestrator.storage.remembered_folders import DEFAULT_DATA, DEFAULT_RUNS, data_folder_of, new_runs_folder
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.settings import VARIABLES
from orchestrator.storage.study_folder import StudyFolder
from orchestrator.support.names import is_text
from orchestrator.support.secrets import hidden_in, holds_password
from orchestrator.support.wording import printable

F = TypeVar("F", bound=Callable[..., Any])

FORMATS = ("table", "csv", "json", "md")
MIRRORS = ("auto", "offline", "online", "off")
EXECUTORS = ("processes", "in-process", "ray")
CALLED = "called"  # the object of a context whose options no command line held


@final
class SettingOption(click.Option):
    """An option whose default a variable or a settings file may give; `effective` says in its help what it is here.

    A variable counts as the option typed.
    """

    def __init__(self, *words: Any, effective: Callable[[], str], **attributes: Any) -> None:
        super().__init__(*words, **attributes)
        self._effective = effective

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The option's lines in the help, which a wrong settings file does not prevent."""
        record = super().get_help_record(ctx)
        if record is None:
            return None
        try:
            default = self._effective()
        except OrchestrateError as error:
            default = f"unknown, {error}"
        return record[0], f"{record[1]}  [default: {printable(default)}]"

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """The value of its variable. Raises BadSettings for one that no file of ours could hold."""
        value = super().resolve_envvar_value(ctx)
        if value is not None and not is_text(value):
            raise BadSettings(f"{self.envvar} is not text in UTF-8")
        return value


def _default_of(key: str, before: str, otherwise: str) -> str:
    """What the help says of a default: `before` is what comes before a file, `otherwise` what counts without one."""
    if (given := settings.in_variable(key)) is not None:
        return f"{_shown(given.value)}, from {given.source}"
    found = settings.in_files(key)
    return before + (f"{_shown(found.value)}, from {found.source}" if found is not None else otherwise)


def _shown(value: object) -> str:
    return hidden_in(value) if isinstance(value, str) else str(value)


def runs_option(command: F) -> F:
    """`--runs DIR`, of commands on studies that exist: by default where the last study here was begun."""
    option = _runs_option(lambda context, parameter, value: last_runs_folder(value))  # noqa: ARG005 - click's
    return option(command)


def unsettled_runs_option(command: F) -> F:
    """The same, of commands that need not look at studies: None where it is left out, for `last_runs_folder`."""
    return _runs_option(None)(command)


def _runs_option(callback: Callable[..., Path] | None) -> Callable[[F], F]:
    return click.option(
        "--runs",
        cls=SettingOption,
        effective=lambda: _default_of("runs", "", _last_runs()),
        envvar=VARIABLES["runs"],
        type=Location(),
        metavar="DIR",
        callback=callback,
        help="Folder of all studies.",
    )


def _last_runs() -> str:
    remembered = remembered_folders.remembered_runs_folder()
    return f"{remembered}, of the last study here" if remembered is not None else str(DEFAULT_RUNS)


def last_runs_folder(value: Path | None) -> Path:
    """The runs folder that was given, or else that of the settings, or else that of the last study here, which is said."""
    return remembered_folders.last_runs_folder(value, say)


def new_runs_option(command: F) -> F:
    """`--runs DIR`, of commands that begin studies."""
    option = click.option(
        "--runs",
        cls=SettingOption,
        effective=lambda: _default_of("runs", "", str(DEFAULT_RUNS)),
        envvar=VARIABLES["runs"],
        type=Location(),
        metavar="DIR",
        callback=lambda context, parameter, value: new_runs_folder(value),  # noqa: ARG005 - click's
        help="Folder of all studies, also for later commands here.",
    )
    return option(command)


def data_option(command: F) -> F:
    """`--data-dir DIR`."""
    option = _data_option("", lambda context, parameter, value: data_folder_of(None, value))  # noqa: ARG005 - click's
    return option(command)


def study_data_option(command: F) -> F:
    """`--data-dir DIR`, of commands on a study, which records it; None where it is left out."""
    return _data_option("the study's, else ", None)(command)


def _data_option(before: str, callback: Callable[..., Path] | None) -> Callable[[F], F]:
    return click.option(
        "--data-dir",
        cls=SettingOption,
        effective=lambda: _default_of("data-dir", before, str(DEFAULT_DATA)),
        envvar=VARIABLES["data-dir"],
        type=Location(),
        metavar="DIR",
        callback=callback,
        help="Folder of data sets and pretrained weights.",
    )


def skip_damaged_option(command: F) -> F:
    """`--skip-damaged`, of commands that choose a data set."""
    option = click.option(
        "--skip-damaged",
        is_flag=True,
        help="Leave out damaged image files of folder:PATH; every record says so.",
    )
    return option(command)


def ood_option(command: F) -> F:
    """`--ood-dir DIR`."""
    option = click.option(
        "--ood-dir",
        type=Location(),
        metavar="DIR",
        help="Folder of the out-of-distribution files.  [default: ood-test in the data folder, if it exists]",
    )
    return option(command)


def partial_option(command: F) -> F:
    """`--partial`."""
    option = click.option("--partial", is_flag=True, help="Accept missing out-of-distribution files, and predict the others.")
    return option(command)


def format_option(*names: str) -> Callable[[F], F]:
    """`--format table|…`, with these names."""
    return click.option(
        "--format",
        "form",
        type=OneOf("format", names),
        default=names[0],
        show_default=True,
        help="Output format.",
    )


def storage_option(command: F) -> F:
    """`--storage URL`."""
    option = click.option(
        "--storage",
        cls=SettingOption,
        effective=lambda: _default_of("storage", "the study's, else ", "optuna.db in the runs folder"),
        metavar="URL",
        envvar=VARIABLES["storage"],
        callback=_advise_about_password,
        help=f"Database for optuna-dashboard; also read from {VARIABLES['storage']}.",
    )
    return option(command)


def _advise_about_password(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    typed = context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE and context.obj != CALLED
    if typed and value is not None and holds_password(value):
        say(f"warning: all users of this machine can read a command line; put a URL with a password in {VARIABLES['storage']}")
    return value


def mirror_option(command: F) -> F:
    """`--mirror …`."""
    option = click.option(
        "--mirror",
        cls=SettingOption,
        effective=lambda: f"auto; {settings.wandb_in_words()}",
        type=OneOf("mirror", MIRRORS),
        default="auto",
        help="Mirror to Weights & Biases. auto: online if logged in, otherwise offline.",
    )
    return option(command)


def device_option(command: F) -> F:
    """`--device …`."""
    option = click.option(
        "--device",
        metavar="auto|cpu|mps|cuda[:N]",
        default="auto",
        show_default=True,
        help="Device. auto: all GPUs, otherwise the CPU.",
    )
    return option(command)


def refuse_idle(why: str, *parameters: str) -> None:
    """Refuse those of a command's `parameters` that were typed although they do nothing `why`. Raises InvalidInput."""
    context = click.get_current_context()
    typed = [
        parameter.opts[0] if isinstance(parameter, click.Option) else parameter.human_readable_name
        for parameter in context.command.params
        if parameter.name in parameters and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]
    if typed:
        raise InvalidInput(f"{' and '.join(typed)} would do nothing {why}: leave it out")


def new_work_options(command: F) -> F:
    """`work_options` of a command that begins studies."""
    return new_runs_option(_workers_and_data(command))


def work_options(command: F) -> F:
    """The options of resources and of the mirror, which do not change results."""
    return runs_option(_workers_and_data(command))


def _workers_and_data(command: F) -> F:
    workers = click.option(
        "--workers",
        metavar="auto|N",
        default="auto",
        show_default=True,
        help="Number of runs to train at the same time. auto: one per GPU, or one.",
    )
    per_device = click.option(
        "--workers-per-device",
        metavar="auto|N",
        default="1",
        show_default=True,
        help="Number of workers that share a GPU, or the cores of a machine without one. "
        "auto: as many as measured memory and speed allow.",
    )
    executor = click.option(
        "--executor",
        type=OneOf("executor", EXECUTORS),
        default="processes",
        show_default=True,
        help="Where runs are trained. in-process: in this process, for debugging. ray: on a Ray cluster.",
    )
    address = click.option(
        "--ray-address",
        metavar="HOST:PORT",
        default="",
        help="Address of the Ray cluster; also read from RAY_ADDRESS.  [default: start Ray on this machine]",
    )
    for option in (mirror_option, address, executor, per_device, workers, device_option, study_data_option):
        command = option(command)
    return command


def chosen_study(store: RunsFolder, name: str | None, *, search: bool = False) -> StudyFolder:
    """The study of this name, or the most recently used one; with `search` only one that searches, not single runs."""
    return store.known(name) if name is not None else store.latest(search=search)
