"""The fifteen reference systems, with the params that their files state."""

from orchestrator import plugins
from search_spaces.reference_systems.support.system import ReportedSystem

SYSTEMS = tuple(system for system in plugins.reference_systems() if isinstance(system, ReportedSystem))


def reported_system(name: str) -> ReportedSystem:
    """The one of this name or number."""
    (found,) = [system for system in SYSTEMS if name in (system.name, system.system)]
    return found


def by_number(system: ReportedSystem) -> str:
    """The id of a test of one system."""
    return system.system
