"""Messages between processes: one JSON object `{"Name": content}` a line, never a pickle."""

from typing import Generic, TypeVar, final

from orchestrator.errors import BadData
from orchestrator.support.serialization import dumps, from_plain, parse

Message = TypeVar("Message")
_LONGEST = 80  # characters that a message quotes of a line


def line(value: object) -> bytes:
    """Plain data as one line of JSON, its line end included. A path that is not UTF-8 text passes, as `parse` reads it again."""
    return (dumps(value) + "\n").encode("utf-8", "surrogatepass")


@final
class LineCodec(Generic[Message]):
    """Writes and reads the messages of one direction, which are dataclasses told apart by their names."""

    def __init__(self, *kinds: type[Message]) -> None:
        self._kinds = {kind.__name__: kind for kind in kinds}

    def encode(self, message: Message) -> bytes:
        """One line, its line end included. Raises TypeError or ValueError for what is not plain data."""
        return line({type(message).__name__: message})

    def decode(self, line: bytes) -> Message:
        """The message that a line holds. Raises BadData for a torn line, and for a message of the other direction."""
        match parse(line, any_path=True):
            case {**only} if len(only) == 1 and (name := next(iter(only))) in self._kinds:
                return from_plain(self._kinds[name], only[name])
        raise BadData(f"not a message: {line[:_LONGEST]!r}")
