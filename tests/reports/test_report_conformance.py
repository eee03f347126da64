"""What every report promises, of each one that ships."""

from orchestrator import plugins
from orchestrator.testing.report import ReportConformance


class TestLeaderboard(ReportConformance):
    report = "leaderboard"


def test_every_report_that_ships_is_tested_here() -> None:
    assert plugins.names("report") == [TestLeaderboard.report]
