"""The bytes of an album's tags → the encoding that they were written in, where that is certain.

Tags of the nineties (ID3v1, and ID3v2 where it says Latin-1) hold whatever the writer's machine
had: GBK, Big5, Shift-JIS, CP949, KOI8-R, CP1251, CP1253, CP1250. A title alone is too short to
tell, so the tags of a folder are judged together: what decodes to words as people write them in
one encoding alone is taken, with the agreement of charset-normalizer; anything else is left.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import pairwise

_MIN_FOREIGN = 6  # bytes beyond ASCII, fewer say nothing
_MOST_CHAOS = 0.1  # of what charset-normalizer calls so
_CLEAR = 0.2  # how much more coherent the best must be than the next
_USUAL = 0.85  # share of characters that must be of the more frequent half
_WORD = re.compile(r"[A-Za-z\x80-\U0010ffff]+")
_VOWELS = frozenset("άέήίόύώΐΰϊϋΆΈΉΊΌΎΏ")


def bytes_of(text: str, *, is_latin_1: bool) -> bytes | None:
    """Return what a tag was before FFmpeg read it as UTF-8 or as Latin-1.

    Parameters
    ----------
    text : str
        As the container gives it, bytes that do not decode as surrogate escapes.
    is_latin_1 : bool
        Whether letters up to U+00FF may come from bytes that were taken for Latin-1.

    Returns
    -------
    bytes or None
        None where the text is what was meant: ASCII, UTF-8, or beyond Latin-1.
    """
    try:
        raw = text.encode("latin-1") if is_latin_1 else text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        if not any(0xDC80 <= ord(letter) <= 0xDCFF for letter in text):
            return None
        raw = text.encode("utf-8", "surrogateescape")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw
    return None


def encoding_of(pieces: Sequence[bytes]) -> str | None:
    """Guess in which encoding the tags of an album were written.

    Parameters
    ----------
    pieces : sequence of bytes
        From `bytes_of`.

    Returns
    -------
    str or None
        As Python calls it; None for Western European, and where it is doubtful.
    """
    together = b"\n".join(sorted(set(pieces)))
    if sum(byte >= 0x80 for byte in together) < _MIN_FOREIGN:
        return None
    plausible = [name for name in _CHECKS if _is_plausible(name, together)]
    if not plausible or "cp1252" in plausible:
        return None
    return _agreed(together, plausible)


def _is_plausible(name: str, together: bytes) -> bool:
    try:
        text = together.decode(name)
    except UnicodeDecodeError:
        return False
    if any(unicodedata.category(letter) in {"Cc", "Co", "Cn"} for letter in text if letter != "\n"):
        return False
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    return bool(words) and _CHECKS[name](words)


def _agreed(together: bytes, plausible: Sequence[str]) -> str | None:
    """Choose the one that charset-normalizer finds clearly better, or that is alone."""
    from charset_normalizer import from_bytes  # noqa: PLC0415 (seldom needed)

    matches = list(from_bytes(together, cp_isolation=list(plausible)))
    found = [one for one in matches if one.chaos <= _MOST_CHAOS and one.encoding in plausible]
    if not found:
        return None
    best, *others = sorted(found, key=lambda one: -one.coherence)
    if others and best.coherence - others[0].coherence < _CLEAR:
        return None
    return str(best.encoding)


def _letters(words: Sequence[str]) -> str:
    return "".join(letter for word in words for letter in word if letter > "\x7f")


def _is_usual(words: Sequence[str], encoding: str, first: int, last: int) -> bool:
    """Whether most characters are of the more frequent ones, which have the lower codes."""
    ideographs = [letter for letter in _letters(words) if "\u4e00" <= letter <= "\u9fff"]
    leads = [letter.encode(encoding, "replace")[0] for letter in ideographs]
    return sum(first <= lead <= last for lead in leads) >= _USUAL * len(leads)


def _is_of(words: Sequence[str], *scripts: str) -> bool:
    """Whether all letters beyond ASCII are of these scripts, and no word mixes them with Latin."""
    return all(
        all(_script(letter) in scripts for letter in word if letter > "\x7f")
        and not any(letter.isascii() for letter in word)
        for word in words
    )


def _script(letter: str) -> str:
    name = unicodedata.name(letter, "")
    return name.split("-")[0].split()[0] if name else ""


def _has_usual_case(words: Sequence[str]) -> bool:
    """Whether no capital stands behind a small letter."""
    return not any(
        one.islower() and other.isupper() for word in words for one, other in pairwise(word)
    )


def _is_chinese(words: Sequence[str]) -> bool:
    return _is_of(words, "CJK", "FULLWIDTH", "IDEOGRAPHIC") and _is_usual(words, "gbk", 0xB0, 0xD7)


def _is_traditional(words: Sequence[str]) -> bool:
    return _is_of(words, "CJK", "FULLWIDTH", "IDEOGRAPHIC") and _is_usual(words, "big5", 0xA4, 0xC6)


def _is_japanese(words: Sequence[str]) -> bool:
    scripts = ("CJK", "HIRAGANA", "KATAKANA", "FULLWIDTH", "IDEOGRAPHIC")
    has_kana = any(_script(letter) in {"HIRAGANA", "KATAKANA"} for letter in _letters(words))
    return has_kana and _is_of(words, *scripts) and _is_usual(words, "cp932", 0x88, 0x97)


def _is_korean(words: Sequence[str]) -> bool:
    try:
        _letters(words).encode("euc_kr")
    except UnicodeEncodeError:
        return False
    return _is_of(words, "HANGUL")


def _is_cyrillic(words: Sequence[str]) -> bool:
    return _is_of(words, "CYRILLIC") and _has_usual_case(words)


def _is_greek(words: Sequence[str]) -> bool:
    long = [word for word in words if len(word) > 3 and not word.isupper()]
    n_accented = sum(any(letter in _VOWELS for letter in word) for word in long)
    return _is_of(words, "GREEK") and _has_usual_case(words) and 2 * n_accented >= len(long)


def _is_european(words: Sequence[str]) -> bool:
    """Whether accents are as rare as in a language of Latin letters, and nothing but letters."""
    return _has_usual_case(words) and all(
        all(letter.isascii() or _script(letter) == "LATIN" for letter in word)
        and 5 * sum(letter > "\x7f" for letter in word) <= max(3 * len(word), 10)
        for word in words
    )


_CHECKS: dict[str, Callable[[Sequence[str]], bool]] = {
    "gb18030": _is_chinese,
    "big5": _is_traditional,
    "cp932": _is_japanese,
    "cp949": _is_korean,
    "koi8_r": _is_cyrillic,
    "cp1251": _is_cyrillic,
    "cp1253": _is_greek,
    "cp1250": _is_european,
    "cp1252": _is_european,
}
