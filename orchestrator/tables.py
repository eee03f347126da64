"""From run folders to the frames that reports are made from, and from a report's table to text."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator import plugins
from orchestrator.contracts import Frames
from orchestrator.store import Store

if TYPE_CHECKING:
    import pandas as pd


def frames(store: Store, studies: Sequence[str]) -> Frames:
    """One row per run and one per epoch, of these studies or, when none is named, of all. Raises UnknownName, BadData."""
    folders = [store.known(name) for name in studies or store.studies()]
    runs = [(folder, record) for folder in folders for record in folder.runs()]
    made: Frames = plugins.helper("reports", "_frames").frames(
        [(folder.name, record, folder.folder(record).epochs()) for folder, record in runs]
    )
    return made


def render_rows(rows: Sequence[Mapping[str, Any]], form: str) -> str:
    """Rows with the same columns as text: "table", "csv", "json" or "md"."""
    return str(plugins.helper("reports", "_formats").render_rows(rows, form))


def render(table: "pd.DataFrame", form: str) -> str:
    """A table as text: "table", "csv", "json" or "md"."""
    return str(plugins.helper("reports", "_formats").render(table, form))
