"""What every report promises (`contracts.Report`)."""

from typing import ClassVar

import pandas as pd
import pytest

from orchestrator import plugins
from orchestrator.contracts import Frames
from orchestrator.record import Kind
from orchestrator.testing.observed_runs import curve, ended, running, seen, study_of
from reports.tables.frames import frames


class ReportConformance:
    """Inherit it, and name the report."""

    report: ClassVar[str]  # reports/NAME.py, found from the working directory

    @pytest.fixture
    def study(self) -> Frames:
        """A study with trials in every state, a retrain, and a trial that has just begun."""
        return example()

    def test_it_is_a_table_with_columns_of_different_names(self, study: Frames) -> None:
        table = plugins.report(self.report)(study)
        assert isinstance(table, pd.DataFrame)
        assert table.columns.is_unique

    def test_the_same_frames_give_the_same_table_and_stay_as_they_are(self, study: Frames) -> None:
        runs, epochs = study.runs.copy(deep=True), study.epochs.copy(deep=True)
        first = plugins.report(self.report)(study)
        second = plugins.report(self.report)(study)
        pd.testing.assert_frame_equal(first, second)
        pd.testing.assert_frame_equal(study.runs, runs)
        pd.testing.assert_frame_equal(study.epochs, epochs)

    def test_a_study_without_runs_has_a_table_too(self) -> None:
        assert isinstance(plugins.report(self.report)(frames([])), pd.DataFrame)


def example() -> Frames:
    """The frames of a study with trials in every state, a retrain, and a trial that has just begun."""
    epochs = curve(3)
    runs = [*study_of(4), (seen(running(4), epochs), epochs), (running(5), [])]
    runs.append((ended(running(0, Kind.RETRAIN), epochs), epochs))
    return frames([(record.run_id.partition("/")[0], record, measured) for record, measured in runs])
