"""Names and titles of strangers' files → text that does no harm where it is shown.

A file may be called anything: a terminal's escape sequence, two lines, letters that turn the line
around, bytes that are no text, a megabyte. One function for people, and one for each format.
"""

import re
import unicodedata

MAX_CELL = 100
"""Columns of the terminal that a cell of a table may take."""

MAX_SENTENCE = 8000
"""Likewise a sentence: room for the longest path there is, twice."""

_JOINERS = "\u200c\u200d"  # they shape letters and emoji, and hide nothing
_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NOT_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(text: object, max_width: int = MAX_SENTENCE) -> str:
    r"""Make text fit for a terminal: one line, no control, no change of direction, not too wide.

    Parameters
    ----------
    text : object
        Text, or what becomes text.
    max_width : int, optional
        Columns that it may take; the rest is cut off and an ellipsis says so.

    Returns
    -------
    str
        What cannot be shown stands there as an escape, and bytes that are no text as theirs.

    Examples
    --------
    >>> shown("one\nline, \x1b[31mplain")
    'one\\nline, \\x1b[31mplain'
    >>> shown("Beyonc\udce9")
    'Beyonc\\xe9'
    >>> shown("a long title", 6)
    'a lon…'
    """
    text = str(text)
    if text.isprintable() and width(text) <= max_width:  # as nearly all is
        return text
    kept: list[str] = []
    left = max_width
    for letter in text:
        piece = _escaped(letter)
        taken = width(piece)
        if taken > left:
            while kept and left < 1:
                left += width(kept.pop())
            return "".join(kept) + "…"
        kept.append(piece)
        left -= taken
    return "".join(kept)


def width(text: str) -> int:
    """Count the columns that text takes in a terminal.

    Parameters
    ----------
    text : str
        From `shown`.

    Returns
    -------
    int
        Wide letters count twice, marks on other letters not at all.
    """
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(letter) or letter in _JOINERS
        else 2
        if unicodedata.east_asian_width(letter) in "WF"
        else 1
        for letter in text
    )


def json_safe(text: str) -> str:
    r"""Escape in JSON what no terminal should get, and what is no text; its values stay the same.

    Parameters
    ----------
    text : str
        JSON.

    Returns
    -------
    str
        JSON of the same values. Bytes that are no text read back as Python's surrogate escapes.

    Examples
    --------
    >>> json_safe('"caf\udce9"')
    '"caf\\udce9"'
    """
    if text.isascii() and "\x7f" not in text:  # as nearly all is
        return text
    return _NOT_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def csv_safe(value: object) -> object:
    """Keep a cell of a CSV file from being taken for a formula; numbers stay as they are.

    Examples
    --------
    >>> csv_safe("=HYPERLINK(1)"), csv_safe(-0.5)
    ("'=HYPERLINK(1)", -0.5)
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _escaped(letter: str) -> str:
    if unicodedata.category(letter) not in _UNSAFE or letter in _JOINERS:
        return letter
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no text, as Python has it in names
        return f"\\x{code - 0xDC00:02x}"
    return letter.encode("unicode_escape", "surrogatepass").decode("ascii")
