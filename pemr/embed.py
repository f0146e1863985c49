"""An audio file → a recording → segment embeddings, as NumPy.

An `Embedder` joins the front end, which all embedders share, to an encoder that
turns segments into unit vectors. Embedders go by name; what a name stands for is
looked up here, and nothing heavy is imported before sound is to be decoded.

Letters: S segments, F frequency bins, T frames, D embedding.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pemr.cores import best_device, one_for_each_product
from pemr.errors import AudioError, UnfitEmbedderError, UnknownEmbedderError
from pemr.model import ftm2d

if TYPE_CHECKING:
    from pemr.model.cover import CoverModel
    from pemr.signal.cqt import Cqt
    from pemr.signal.recording import Recording

DEFAULT: Final = "cover"

_STRETCH_LENGTH = 5  # blocks of a minute
_COVER_SEGMENT_LENGTH = 100  # frames: 20 s

Encoder: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Embedder:
    """Turns audio files into unit-length segment embeddings.

    Parameters
    ----------
    name : str
        Preset and weights, as a catalog records it.
    dim : int
        Length D of an embedding.
    reads : {"chroma", "spectrogram"}
        What segments are cut from: chroma, F = 12, or the semitone spectrogram
        in dB, F = 84.
    reads_harmony : bool
        Whether harmony is read beside it, as 36 more rows in 0..1.
    segment_length, hop_length : int
        Length of a segment, and distance between two, in frames of 0.2 s.
    load_encoder : callable
        Makes the function from segments (S, F, T) to unit vectors (S, D), once.
    batch_size : int
        How many segments the encoder sees at once.
    ranking : mapping
        What was measured to rank best with its embeddings, as plain values;
        empty where nothing was measured.
    """

    name: str
    dim: int
    reads: Literal["chroma", "spectrogram"]
    segment_length: int
    hop_length: int
    load_encoder: Callable[[], Encoder] = field(repr=False)
    batch_size: int = 64
    reads_harmony: bool = False
    ranking: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def file_errors(self) -> tuple[type[Exception], ...]:
        """What `listen` raises when one file is bad."""
        return (AudioError,)

    def listen(self, source: Path) -> "Recording":
        """Decode one file and keep what is ever asked of its sound.

        Parameters
        ----------
        source : Path
            An audio file; it is decoded block by block.

        Returns
        -------
        Recording

        Raises
        ------
        UnreadableAudioError, NoAudioStreamError
            If there is no sound to be had from the file.
        """
        from pemr.model.harmony import shipped_listener  # noqa: PLC0415 (not before it is asked)
        from pemr.signal import audio  # noqa: PLC0415 (not before sound is decoded)
        from pemr.signal.media import Told  # noqa: PLC0415
        from pemr.signal.recording import record  # noqa: PLC0415

        told = Told()
        recording = record(audio.blocks(source, told=told), self._cqt, shipped_listener())
        return replace(recording, damage=told.damage, promised_s=told.promised_s)

    def listen_on(self, source: "Path | BinaryIO") -> "Iterator[Recording]":
        """Decode a file or a stream of any length, and make a recording of each stretch of it.

        Parameters
        ----------
        source : Path or binary file
            An audio file; or a stream of bytes, such as standard input, read once as it comes.

        Yields
        ------
        Recording
            Of five minutes, the last one shorter; each is tuned by itself.

        Raises
        ------
        UnreadableAudioError, NoAudioStreamError
            If there is no sound to be had from it.
        """
        from pemr.model.harmony import shipped_listener  # noqa: PLC0415 (as in `listen`)
        from pemr.signal import audio  # noqa: PLC0415
        from pemr.signal.recording import record  # noqa: PLC0415

        blocks = audio.blocks(source) if isinstance(source, Path) else audio.stream_blocks(source)
        while stretch := list(islice(blocks, _STRETCH_LENGTH)):
            yield record(stretch, self._cqt, shipped_listener())

    def restore(self, arrays: Mapping[str, Any]) -> "Recording":
        """Make a recording of arrays that were kept.

        Parameters
        ----------
        arrays : mapping
            `spectrogram`, `chroma` and `harmony` as in `Recording`, each of which
            may be absent, and `duration_s`, a number; without it the recording
            lasts as long as its frames; `damage` and `promised_s` as they were.

        Returns
        -------
        Recording

        Raises
        ------
        ValueError
            If an array has another shape or type.
        """
        from pemr.signal.frontend import FRAME_RATE  # noqa: PLC0415
        from pemr.signal.recording import Recording  # noqa: PLC0415

        parts = {
            name: np.asarray(arrays[name])
            for name in ("spectrogram", "chroma", "harmony")
            if name in arrays
        }
        n_frames = max((part.shape[-1] for part in parts.values()), default=0)
        duration_s = float(arrays.get("duration_s", n_frames / FRAME_RATE))
        return Recording(
            duration_s=duration_s,
            damage=arrays.get("damage", ""),
            promised_s=arrays.get("promised_s"),
            **parts,
        )

    def embed(
        self, recordings: "Sequence[Recording]", *, tempo: float = 1.0
    ) -> list[NDArray[np.float32]]:
        """Embed recordings, as they are or as if they were played faster or slower.

        Parameters
        ----------
        recordings : sequence of Recording
            From `listen` or `restore`.
        tempo : float, optional
            Factor; 2 is twice as fast.

        Returns
        -------
        list of float32 arrays, each of shape (S, D)
            Unit vectors of each recording's segments in order of time; none of
            a silent one.

        Raises
        ------
        UnfitEmbedderError
            If a recording lacks the part that this embedder reads.
        """
        played = [recording.at_tempo(tempo) for recording in recordings]
        starts = [self._starts(recording) for recording in played]
        vectors = [self._encoder(segments) for segments in self._batches(played, starts)]
        joined = np.concatenate([np.zeros((0, self.dim), np.float32), *vectors])
        ends = np.cumsum([len(some) for some in starts])
        return np.split(joined, ends[:-1]) if played else []

    def spans_s(self, recording: "Recording", *, tempo: float = 1.0) -> NDArray[np.float64]:
        """Tell where the segments of a recording begin and end.

        Parameters
        ----------
        recording : Recording
            As `embed` was given it.
        tempo : float, optional
            As `embed` was given it.

        Returns
        -------
        float64 array, shape (S, 2)
            In seconds of the recording at its own tempo, never past its end.
        """
        from pemr.signal.frontend import FRAME_RATE  # noqa: PLC0415

        starts = self._starts(recording.at_tempo(tempo))
        spans = np.stack([starts, starts + self.segment_length], axis=1) / FRAME_RATE
        return np.minimum(spans * tempo, recording.duration_s)

    def _starts(self, recording: "Recording") -> NDArray[np.int64]:
        from pemr.signal.segments import segment_starts  # noqa: PLC0415

        n_frames = recording.parts[self.reads].shape[1]
        if n_frames < len(recording.is_heard):
            raise UnfitEmbedderError(
                f"embedder {self.name!r} reads the {self.reads} of a recording, and there is "
                f"only its {'chroma' if self.reads == 'spectrogram' else 'spectrogram'}"
            )
        return segment_starts(recording.is_heard, self.segment_length, self.hop_length)

    def _batches(
        self, recordings: "Sequence[Recording]", starts: Sequence[NDArray[np.int64]]
    ) -> Iterator[NDArray[np.float32]]:
        """Cut a batch of segments at a time, several recordings' where they are short."""
        from pemr.signal import frontend, segments  # noqa: PLC0415

        def cut(part: str) -> NDArray[np.uint8]:
            packed = [recording.parts[part] for recording in recordings]
            return segments.cut_each(packed, owner, first, self.segment_length)

        beside = ["chroma"] * (self.reads == "chroma") + ["harmony"] * self.reads_harmony
        owners = np.repeat(np.arange(len(starts)), [len(some) for some in starts])
        firsts = np.concatenate([np.zeros(0, np.int64), *starts])
        for start in range(0, len(firsts), self.batch_size):
            owner, first = (all_[start : start + self.batch_size] for all_ in (owners, firsts))
            shown = [frontend.unpack(cut("spectrogram"))] if self.reads == "spectrogram" else []
            yield np.concatenate([*shown, *(cut(p).astype(np.float32) / 255 for p in beside)], 1)

    @cached_property
    def _encoder(self) -> Encoder:
        return self.load_encoder()

    @cached_property
    def _cqt(self) -> "Cqt":
        from pemr.signal.cqt import Cqt  # noqa: PLC0415 (as in `listen`)

        return Cqt()


def embedder_names() -> tuple[str, ...]:
    """Name the embedders that `load_embedder` finds."""
    return tuple(_LOADERS)


def load_embedder(
    name: str | None = None, device: str | None = None, batch_size: int | None = None
) -> Embedder:
    """Find an embedder by name.

    Parameters
    ----------
    name : str, optional
        One of `embedder_names`, a full name such as `cover@1a2b3c4d`, or the
        folder of a checkpoint that `pemr finetune` wrote. The default is the
        best there is.
    device : str, optional
        Where its encoder computes, in PyTorch's words; by default on the GPU
        where there is one.
    batch_size : int, optional
        How many segments its encoder is to see at once; 64 if not given.

    Returns
    -------
    Embedder

    Raises
    ------
    UnknownEmbedderError
        If nothing goes by this name.
    CheckpointError
        If the folder holds no fine-tuned cover encoder, or a damaged one.
    """
    asked = DEFAULT if name is None else name
    one_for_each_product()
    loader = _LOADERS.get(preset_of(asked))
    if loader is not None:
        embedder = loader(device)
        if "@" in asked and embedder.name != asked:
            raise UnknownEmbedderError(asked, (embedder.name,))
    elif asked and Path(asked).is_dir():
        embedder = _load_checkpoint(Path(asked), device)
    else:
        raise UnknownEmbedderError(asked, embedder_names())
    return replace(embedder, batch_size=batch_size or embedder.batch_size)


def preset_of(name: str) -> str:
    """Take the preset out of an embedder's name, which ends in the hash of its weights."""
    return name.partition("@")[0]


def _load_ftm2d(_device: str | None) -> Embedder:
    return Embedder(
        name=f"ftm2d@{ftm2d.REVISION}",
        dim=ftm2d.DIM,
        reads="chroma",
        segment_length=ftm2d.SEGMENT_LENGTH,
        hop_length=ftm2d.HOP_LENGTH,
        load_encoder=lambda: ftm2d.embed,
    )


def cover_embedder(model: "CoverModel", device: str = "cpu", name: str = "cover") -> Embedder:
    """Make an embedder of a cover model that is at hand, for example in training.

    Parameters
    ----------
    model : CoverModel
        In evaluation mode, on the device.
    device : str
        Where it computes, in PyTorch's words.
    name : str
        What the embedder is called.

    Returns
    -------
    Embedder
        Of segments of 20 s, 10 s apart.
    """
    embedder = _cover(name, model.n_dims, lambda: _encoder_of(model, device))
    return replace(embedder, reads_harmony=bool(getattr(model.encoder, "n_harmony", 0)))


def _load_cover(device: str | None) -> Embedder:
    from pemr import weights  # noqa: PLC0415 (not every embedder needs them)

    shipped = weights.describe("cover")

    def load_encoder() -> Encoder:
        place = device or best_device()
        if place == "cpu":
            from pemr.model.inference import CoverNetwork  # noqa: PLC0415 (not all need it)

            return CoverNetwork(shipped.config, weights.load_arrays("cover"))
        from pemr.model.cover import load_shipped  # noqa: PLC0415 (not all need torch)

        return _encoder_of(load_shipped("cover").to(place), place)

    name = f"cover@{shipped.hash[:8]}"
    return replace(
        _cover(name, shipped.n_dims, load_encoder),
        ranking=shipped.ranking,
        reads_harmony=shipped.reads_harmony,
    )


def _load_checkpoint(folder: Path, device: str | None) -> Embedder:
    from pemr.model.checkpoint import load_trained, weights_hash  # noqa: PLC0415 (not all need torch)
    from pemr.model.cover import load_model  # noqa: PLC0415 (as above)

    name = f"{load_trained(folder).config.preset}@{weights_hash(folder)[:8]}"
    place = device or best_device()
    return cover_embedder(load_model(folder).to(place), place, name)


def _cover(name: str, dim: int, load_encoder: Callable[[], Encoder]) -> Embedder:
    return Embedder(
        name=name,
        dim=dim,
        reads="spectrogram",
        segment_length=_COVER_SEGMENT_LENGTH,
        hop_length=_COVER_SEGMENT_LENGTH // 2,
        load_encoder=load_encoder,
    )


def _encoder_of(model: "CoverModel", device: str) -> Encoder:
    """Make a function of arrays of a model of tensors."""
    import torch  # noqa: PLC0415 (importing this module does not pay for it)

    def encode(segments: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            embedded = model(torch.from_numpy(segments).to(device))
        return np.asarray(embedded.cpu().numpy(), dtype=np.float32)

    return encode


_LOADERS: Final[dict[str, Callable[[str | None], Embedder]]] = {
    "cover": _load_cover,
    "ftm2d": _load_ftm2d,
}
