"""The address of a catalog that lies in a PostgreSQL server, and not in a folder."""

import re
from dataclasses import dataclass
from pathlib import Path

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
        where, mark, settings = self.text.partition("?")
        where = re.sub(r"^(\w+://[^:@/]*):.*@", r"\1@", where)
        shown = [one for one in settings.split("&") if not one.startswith("password=")]
        return where + (mark if shown else "") + "&".join(shown)

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"

    @staticmethod
    def is_one(text: str) -> bool:
        """Whether a text is meant as an address, and not as the name of a folder."""
        return _SCHEME.match(text) is not None


Place = Path | Address
"""Where a catalog is: a folder, or a database on a server."""
