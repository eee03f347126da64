"""Durations as people write and read them."""

import re

from orchestrator.errors import InvalidInput

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str) -> float:
    """The seconds of "90s", "45m", "6h", "1.5d" or "1h30m". Raises InvalidInput."""
    parts = re.findall(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhd])", text)
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or not seconds:
        raise InvalidInput(
            f"{text!r} is not a duration; write a number and a unit of s, m, h or d, such as 90s, 45m, 6h or 1h30m"
        )
    return seconds


def format_duration(seconds: float) -> str:
    """A duration in the units that suit it; never more exact than an estimate is: "45 s", "12 min", "3 h 05 min"."""
    if seconds < 90:
        return f"{max(seconds, 0):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
