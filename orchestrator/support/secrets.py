"""Passwords in addresses never reach a log file, a message or a screen."""

import re
from collections.abc import Mapping
from typing import final
from urllib.parse import unquote

# Up to the last @ of the word, because a pasted password may hold one: rather too much is hidden than a part shown.
_IN_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^\s/:@]*):(\S+)@")
_IN_QUERY = re.compile(r"([?&](?:password|passwd|sslpassword|token)=)([^&\s'\"]+)", re.IGNORECASE)
_HIDDEN = "***"


def hide_passwords(text: str) -> str:
    """`text` with the password of every address in it replaced by three asterisks."""
    return _IN_QUERY.sub(rf"\1{_HIDDEN}", _IN_USERINFO.sub(rf"\1:{_HIDDEN}@", text))


def holds_password(url: str) -> bool:
    """Whether there is a password in this URL, which is not part of a longer text: so it may also hold spaces."""
    return hidden_in(url) != _whole(url)


def hidden_in(url: str) -> str:
    """The same URL for a screen, without its password; a space is shown as `_`."""
    return hide_passwords(_whole(url))


def _whole(url: str) -> str:
    return re.sub(r"\s", "_", url)


@final
class Secrets:
    """The passwords in the addresses of a configuration, which libraries may also quote alone or decoded."""

    def __init__(self, configuration: object) -> None:
        found = set()
        for text in _texts(configuration):
            for pattern in (_IN_USERINFO, _IN_QUERY):
                for match in pattern.finditer(text):
                    found |= {match[2], unquote(match[2])}
        # Longest first, so that one password that begins another leaves nothing of it; whole words only, so that the
        # password "post" does not garble "postgresql".
        alternatives = "|".join(re.escape(secret) for secret in sorted(found, key=len, reverse=True))
        self._pattern = re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)") if found else None

    def hide(self, text: str) -> str:
        """`text` without these passwords, and without those of any other address in it."""
        if self._pattern is not None:
            text = self._pattern.sub(_HIDDEN, text)
        return hide_passwords(text)


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _texts(item)]
    return []
