"""A file that somebody sent → what is kept of its sound, in a process that can be killed.

What decodes files meets whatever people send. It runs apart, one song and one recording of hours
at a time and not longer than it may; a process stays for the next file, since loading the embedder
takes seconds.
"""

import logging
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Literal, cast

import numpy as np
from numpy.typing import NDArray

from indexer import Embedder, KeptRecording
from retrieval.errors import SoundError

log = logging.getLogger(__name__)

_PARTS = ("spectrogram", "chroma", "harmony", "duration_s", "damage", "promised_s")
_START_S = 120.0  # loading the embedder, on a slow disk

Load = Callable[[], Embedder]
Way = Literal["listen", "listen_on"]
WAYS: tuple[Way, ...] = ("listen", "listen_on")


class Apart:
    """An embedder that listens in a process of its own; everything else is done here.

    Parameters
    ----------
    load : callable
        Makes the embedder, here and there; it must pickle.
    limit_s : float
        How long one file may take.
    """

    def __init__(self, load: Load, limit_s: float = 300.0) -> None:
        self.load = load
        self._here = load()
        self._embedding = Lock()  # what encodes is loaded when it is first asked
        # Hours that one asks about do not keep another's song waiting.
        self._ears = {way: _Ear(load, limit_s) for way in WAYS}
        self._on_heard: Callable[[float], None] = lambda _: None
        self.bad_files = self._here.file_errors
        self.file_errors: tuple[type[Exception], ...] = (SoundError,)

    @property
    def name(self) -> str:
        """Preset and weights."""
        return self._here.name

    @property
    def dim(self) -> int:
        """Length D of an embedding."""
        return self._here.dim

    @property
    def ranking(self) -> Mapping[str, Any]:
        """What was measured to rank best."""
        return self._here.ranking

    def listen(self, source: Path) -> KeptRecording:
        """Decode one file.

        Raises
        ------
        SoundError
            If it is no sound, or takes too long.
        """
        (recording,) = self._ears["listen"].heard("listen", source)
        return recording

    def listen_on(self, source: Path | BinaryIO) -> Iterator[KeptRecording]:
        """Decode a file of any length, stretch by stretch.

        Raises
        ------
        SoundError
            If it is no sound, or takes too long.
        """
        if not isinstance(source, Path):
            raise TypeError("only files are heard apart")
        heard_s = 0.0
        for recording in self._ears["listen_on"].heard("listen_on", source):
            heard_s += recording.duration_s
            self._on_heard(heard_s)
            yield recording

    def restore(self, arrays: Mapping[str, Any]) -> Any:  # noqa: ANN401 (the embedder's own kind)
        """Make a recording of what a catalog kept of it."""
        return self._here.restore(arrays)

    def embed(self, recordings: Sequence[Any], *, tempo: float = 1.0) -> list[NDArray[np.float32]]:
        """Embed recordings as if they were played faster by a factor: (S, D) each."""
        own = [self._own(recording) for recording in recordings]
        self._on_heard(sum(recording.duration_s for recording in own))
        with self._embedding:
            return self._here.embed(own, tempo=tempo)

    def spans_s(self, recording: Any, *, tempo: float = 1.0) -> NDArray[np.float64]:  # noqa: ANN401
        """Tell where the segments of `embed` begin and end in seconds, (S, 2)."""
        return self._here.spans_s(self._own(recording), tempo=tempo)

    def watched(self, on_heard: Callable[[float], None]) -> "Apart":
        """Give the same embedder, which tells how many seconds it has heard.

        Parameters
        ----------
        on_heard : callable
            Called now and then; what it raises ends the work at once, that of the process too.

        Returns
        -------
        Apart
            It shares the processes; only one of the two needs closing.
        """
        made = copy(self)
        made._on_heard = on_heard
        return made

    def close(self) -> None:
        """Kill the processes; what they were doing ends with an error."""
        for ear in self._ears.values():
            ear.close()

    def _own(self, recording: Any) -> Any:  # noqa: ANN401
        if isinstance(recording, KeptRecording):
            return self._here.restore(vars_of(recording))
        return recording


class _Ear:
    """A process that hears one file at a time, begun when there is the first one."""

    def __init__(self, load: Load, limit_s: float) -> None:
        self._load = load
        self._limit_s = limit_s
        self._lock = Lock()
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None

    def heard(self, way: Way, source: Path) -> Iterator[KeptRecording]:
        """Yield what is heard of a file; whoever stops asking stops the process."""
        with self._lock:
            is_done = False
            try:
                pipe = self._started()
                pipe.send((way, source))
                yield from self._answers(pipe)
                is_done = True
            except (EOFError, OSError) as error:
                raise SoundError("the file brought its decoder down") from error
            except SoundError:
                is_done = True
                raise
            finally:
                if not is_done:
                    self._stop()

    def close(self) -> None:
        """Kill the process."""
        process = self._process
        if process is not None and process.is_alive():
            process.kill()

    def _answers(self, pipe: Connection) -> Iterator[KeptRecording]:
        while True:
            if not pipe.poll(self._limit_s):
                self._stop()
                raise SoundError(f"the file was not decoded within {self._limit_s:g} seconds")
            kind, content = pipe.recv()
            if kind == "end":
                return
            if kind == "error":
                raise SoundError(content)
            yield KeptRecording(**content)

    def _started(self) -> Connection:
        if self._pipe is not None and self._process is not None and self._process.is_alive():
            return self._pipe
        self._stop()
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        process = context.Process(target=_listen_for, args=(there, self._load), daemon=True)
        process.start()
        there.close()
        self._process = process
        if not self._pipe.poll(_START_S):
            self._stop()
            raise SoundError("the decoder could not be started")
        self._pipe.recv()
        return self._pipe

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None


def vars_of(recording: Any) -> dict[str, Any]:  # noqa: ANN401 (any embedder's kind)
    """Take a recording apart into plain values, for `Embedder.restore`."""
    return {name: getattr(recording, name) for name in _PARTS}


def _listen_for(pipe: Connection, load: Load) -> None:
    """Hear file after file, until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server says when it ends
    embedder = load()
    bad: tuple[type[Exception], ...] = (*embedder.file_errors, OSError)
    pipe.send(("ready", None))
    with suppress(EOFError, BrokenPipeError):
        while True:
            way, source = pipe.recv()
            try:
                heard = [embedder.listen(source)] if way == "listen" else embedder.listen_on(source)
                for one in heard:
                    pipe.send(("heard", vars_of(one)))
            except bad as error:
                pipe.send(("error", str(getattr(error, "reason", None) or "cannot be read")))
            else:
                pipe.send(("end", None))


def as_embedder(apart: Apart) -> Embedder:
    """See an `Apart` as the protocol that searches ask for."""
    return cast(Embedder, apart)
