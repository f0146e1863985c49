"""The terminal that a command runs in: its streams made safe, its signals made one."""

import codecs
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from io import TextIOWrapper
from types import FrameType, TracebackType
from typing import Any, TypeVar

from retrieval.errors import OutputError
from retrieval.reporting.display import shown

Told = TypeVar("Told")

INTERRUPTED = "pemr: interrupted; what was done is kept, the same command goes on"

_STOPPING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_EXIT_CODE = 130
_farewell = f"{INTERRUPTED}\n"


class SafeFormatter(logging.Formatter):
    """Formats what is logged as one line that is fit for a terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the library's name)
        """Format the sentence; a traceback, where one is wanted, follows as it is."""
        return shown(super().formatMessage(record))


def begin() -> None:
    """Let an interrupt that comes before the command has begun end it with a sentence.

    Garbage is looked for less often than Python does: a catalog's tracks are a million objects that
    stay, and going through them again and again takes a third of the time.
    """
    sys.excepthook = _told_last
    gc.set_threshold(10_000, 20, 50)


def prepare_streams() -> None:
    """Make standard output and error take any text, and exist.

    A letter that the terminal's encoding lacks is written as an escape, a byte that is no text as
    that byte. A stream that was closed becomes the null device, lest the next file that is opened
    takes its number.
    """
    while (null := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(null)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    codecs.register_error("pemr.escape", _escape)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="pemr.escape")


def obey_signals(farewell: str) -> None:
    """Let SIGTERM and SIGHUP end a command like Ctrl-C, and a second signal end it at once.

    A signal that is ignored, as after `nohup`, stays ignored.

    Parameters
    ----------
    farewell : str
        What to say when a second signal ends the command.
    """
    global _farewell  # noqa: PLW0603 (signals are the process's own)
    _farewell = farewell
    for number in _STOPPING:
        with contextlib.suppress(ValueError):  # not in the main thread
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _stop)


def answer(text: str) -> None:
    """Write an answer to standard output, now.

    Parameters
    ----------
    text : str
        With the end of its last line.

    Raises
    ------
    OutputError
        If it cannot be written.
    BrokenPipeError
        If nobody is there to read any more, as after `| head`.
    """
    if sys.stdout is None:
        raise OutputError("the answer cannot be written: standard output is closed")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        with contextlib.suppress(OSError, ValueError):  # what is left in the buffer goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"the answer cannot be written: {reason}") from error


def say(sentence: str) -> None:
    """Write a sentence to standard error, as one line; where that fails nobody can be told."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"{shown(sentence)}\n")
            sys.stderr.flush()


_line = say  # under a name that no parameter hides


def watch(
    told: Iterable[Told],
    n_told: int | None,
    unit: str,
    say: Callable[[Told], str] | None = None,
    *,
    is_quiet: bool = False,
) -> Iterator[Told]:
    """Draw a bar along a long job and pass on what it tells; say what cannot be used.

    Parameters
    ----------
    told : iterable
        What the job tells; it may have a `progress`, or a `path` and the `reason` why not.
    n_told : int or None
        How much that will be, where it is known.
    unit : str
        Of what is counted.
    say : callable, optional
        What to write behind the bar.
    is_quiet : bool
        Whether nothing is drawn or said.

    Yields
    ------
    What the job tells.
    """
    from tqdm import tqdm  # noqa: PLC0415 (not every command draws)

    skipped: list[Any] = []
    with tqdm(total=n_told, unit=f" {unit}", disable=True if is_quiet else None) as bar:
        for one in told:
            yield one
            n_done, n_ahead = getattr(one, "progress", (1, None))
            if n_ahead and (n_ahead != bar.total or bar.n >= n_ahead):  # on to queries, or steps
                bar.reset(n_ahead)
            if say is not None:
                bar.set_postfix_str(say(one), refresh=False)
            bar.update(n_done)
            if hasattr(one, "reason"):
                skipped.append(one)
    for one in () if is_quiet else skipped:
        _line(f"skipped {one.path}: {one.reason}")


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (as signals call it)
    for other in _STOPPING:
        with contextlib.suppress(ValueError):
            if signal.getsignal(other) is not signal.SIG_IGN:
                signal.signal(other, _stop_now)
    raise KeyboardInterrupt


def _stop_now(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    with contextlib.suppress(OSError):
        os.write(2, _farewell.encode())
    os._exit(_EXIT_CODE)


def _told_last(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        _stop_now(signal.SIGINT, None)
    sys.__excepthook__(kind, error, trace)


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    """Encode one letter that an encoding lacks, for `codecs.register_error`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    code = ord(error.object[error.start])
    if 0xDC80 <= code <= 0xDCFF:
        return bytes([code - 0xDC00]), error.start + 1
    units = error.object[error.start].encode("utf-16-be", "surrogatepass")
    escapes = (f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
    return "".join(escapes), error.start + 1
