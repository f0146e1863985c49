"""The address of a catalog that lies in a PostgreSQL server, and not in a folder."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit, urlunsplit

_SCHEME = re.compile(r"postgres(ql)?://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the database of a catalog is: `postgresql://USER@HOST:PORT/DATABASE`.

    What libpq knows holds: the password may be in `PGPASSWORD` or in `~/.pgpass`, further settings
    after a question mark. As text it is without its password, so that it can be shown.

    Parameters
    ----------
    text : str
        As the user wrote it.
    """

    text: str

    def __str__(self) -> str:
        parts = urlsplit(self.text)
        user, _, host = parts.netloc.rpartition("@")
        who = f"{user.partition(':')[0]}@" if user else ""
        shown = [pair for pair in parse_qsl(parts.query) if pair[0] != "password"]
        query = "&".join(f"{name}={value}" for name, value in shown)
        return urlunsplit((parts.scheme, who + host, parts.path, query, ""))

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"

    @staticmethod
    def is_one(text: str) -> bool:
        """Whether a text is meant as an address, and not as the name of a folder."""
        return _SCHEME.match(text) is not None


Place = Path | Address
"""Where a catalog is: a folder, or a database on a server."""
