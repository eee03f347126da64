"""From run folders to the frames that reports are made from, and from a report's table to text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from orchestrator import plugins
from orchestrator.contracts import Frames
from orchestrator.plugin_errors import blame_plugin
from orchestrator.record import Epoch, RunRecord
from orchestrator.storage.progress import shown_state, so_far
from orchestrator.storage.runs import RunsFolder
from orchestrator.storage.study_folder import StudyFolder

if TYPE_CHECKING:
    import pandas as pd


def frames(store: RunsFolder, studies: Sequence[str]) -> Frames:
    """The frames of these studies, or of all when none is named. Raises UnknownName, BadData."""
    from reports.tables.frames import frames as frames_of

    folders = [store.known(name) for name in studies or store.studies()]
    holders = {folder.name: folder.holder() for folder in folders}
    runs = [(folder, record) for folder in folders for record in folder.runs()]
    searches = [search for folder in folders if (search := folder.read().search) is not None]
    searched = [name for search in searches for name in search.plan_content["space"]]
    found = (_with_epochs(folder, record) for folder, record in runs)
    return frames_of(found, searched, [shown_state(record, holders[folder.name]) for folder, record in runs])


def _with_epochs(folder: StudyFolder, record: RunRecord) -> tuple[str, RunRecord, list[Epoch]]:
    epochs = folder.folder(record).epochs()
    return folder.name, so_far(record, epochs), epochs


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A report as text, and what its reader is told of it; "" where nothing is to tell."""

    text: str
    note: str = ""


def reported(name: str, given: Frames, form: str, *, width: int | None = None, top: int | None = None) -> Reported:
    """What the report of this name makes of the frames; of its rows the first `top`.

    A "table" leaves out empty columns and those that do not fit in `width` characters; other forms have all of them.
    Raises UnknownName, or BadData in one line.
    """
    from reports.tables.checked import checked
    from reports.tables.fitting import fitted

    report = plugins.report(name)
    with blame_plugin(f"report {name!r}"):
        table = checked(report(given), name)
        table = table if top is None else table.head(top)
        if form != "table":
            return Reported(text=render(table, form))
        found = fitted(table, width)
        return Reported(text=found.text, note=found.note())


def render_rows(rows: Sequence[Mapping[str, Any]], form: str, *, width: int | None = None) -> str:
    """Rows with the same columns as text: "table", "csv", "json" or "md"; `width` is a table's characters to a line."""
    from reports.tables.formats import render_rows as rendered

    return rendered(rows, form, width=width)


def render(table: "pd.DataFrame", form: str, *, width: int | None = None) -> str:
    """A table as text: "table", "csv", "json" or "md"; `width` is a table's characters to a line."""
    from reports.tables.formats import render as rendered

    return rendered(table, form, width=width)
