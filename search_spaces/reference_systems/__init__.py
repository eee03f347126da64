"""The fifteen systems of five public reports on the challenge: each is a recipe, and none needs a training loop of its own."""

from search_spaces.reference_systems import part1, part2, part3
from search_spaces.reference_systems.system import ReferenceSystem

SYSTEMS: tuple[ReferenceSystem, ...] = tuple(
    sorted((*part1.SYSTEMS, *part2.SYSTEMS, *part3.SYSTEMS), key=lambda system: system.system)
)


def find(name: str) -> ReferenceSystem | None:
    """The system of this name, or of this number, "001-P1"; None where there is none."""
    return next((system for system in SYSTEMS if name in (system.name, system.system)), None)
