"""From run folders to the frames that reports are made from, and from a report's table to text."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.contracts import Frames
from orchestrator.storage.progress import shown_state
from orchestrator.storage.runs import RunsFolder

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
    found = ((folder.name, record, folder.folder(record).epochs()) for folder, record in runs)
    return frames_of(found, searched, [shown_state(record, holders[folder.name]) for folder, record in runs])


def render_rows(rows: Sequence[Mapping[str, Any]], form: str) -> str:
    """Rows with the same columns as text: "table", "csv", "json" or "md"."""
    from reports.tables.formats import render_rows as rendered

    return rendered(rows, form)


def render(table: "pd.DataFrame", form: str) -> str:
    """A table as text: "table", "csv", "json" or "md"."""
    from reports.tables.formats import render as rendered

    return rendered(table, form)
