"""Messages between processes: one JSON object `{"Name": content}` a line, never a pickle."""

from typing import Generic, TypeVar, final

from orchestrator.errors import BadData
from orchestrator.support.serialization import dumps, from_plain, parse

Message = TypeVar("Message")
_LONGEST = 80  # characters that a message quotes of a line


@final
class LineCodec(Generic[Message]):
    """Writes and reads the messages of one direction, which are dataclasses told apart by their names."""

    def __init__(self, *kinds: type[Message]) -> None:
        self._kinds = {kind.__name__: kind for kind in kinds}

    def encode(self, message: Message) -> bytes:
        """One line, its line end included. Raises TypeError or ValueError for what is not plain data."""
        return (dumps({type(message).__name__: message}) + "\n").encode()

    def decode(self, line: bytes) -> Message:
        """The message that a line holds. Raises BadData for a torn line, and for a message of the other direction."""
        match parse(line):
            case {**only} if len(only) == 1 and (name := next(iter(only))) in self._kinds:
                return from_plain(self._kinds[name], only[name])
        raise BadData(f"not a message: {line[:_LONGEST]!r}")
