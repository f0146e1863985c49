"""The frame mask as a figure: what a pretrained model calls essential in a recording.

Letters: S crops, F frequency bins, T frames.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from pemr.errors import PemrError, UnreadableAudioError
from pemr.model.checkpoint import load
from pemr.model.mask import crucial_frames, importance
from pemr.model.pemr import Pemr
from pemr.signal import crops, frontend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_N_CROPS = 4


@dataclass(frozen=True)
class MaskedStretch:
    """A stretch of a recording and what the mask makes of it."""

    spectrogram: NDArray[np.float32]  # (F, T) in dB
    importance: NDArray[np.float32]  # (T,), 1 where attention is spread evenly
    is_crucial: NDArray[np.bool_]  # (T,)
    start_s: float
    end_s: float
    n_crops: int


def masked_stretch(path: Path, checkpoint: Path, start_s: float = 0.0) -> MaskedStretch:
    """Let a pretrained model mask the first crops of a recording.

    Parameters
    ----------
    path : Path
        Audio.
    checkpoint : Path
        Folder that pretraining wrote.
    start_s : float
        Where to start, in seconds.

    Returns
    -------
    MaskedStretch
        Of up to four consecutive crops, each masked on its own, as in training.

    Raises
    ------
    CheckpointError
        If the checkpoint cannot be used.
    AudioError
        If the recording cannot be decoded, or is shorter than a crop from there on.
    """
    stored = load(checkpoint)
    model = Pemr(stored.config)
    model.load_state_dict(stored.weights)
    model.eval()
    front_end = stored.config.front_end
    rate = frontend.FRAME_RATE if front_end.kind == "semitone" else front_end.sample_rate
    recording = crops.decoded(path, front_end)[..., round(start_s * rate) :]
    cut = crops.pieces(recording, front_end)[:_N_CROPS]  # (S, F, T)
    if not len(cut):
        needed_s = crops.crop_length(front_end) / rate
        raise UnreadableAudioError(
            path, f"less than the {needed_s:.1f} s of one crop from there on"
        )
    scores = importance(model.transformer, cut, cut)  # (S, T)
    is_crucial = crucial_frames(scores, stored.config.mask.ratio)
    return MaskedStretch(
        spectrogram=torch.cat(list(cut), dim=1).numpy(),
        importance=(scores.flatten() * cut.shape[2] / 2).numpy(),
        is_crucial=is_crucial.flatten().numpy(),
        start_s=start_s,
        end_s=start_s + len(cut) * crops.crop_length(front_end) / rate,
        n_crops=len(cut),
    )


def draw_mask(stretch: MaskedStretch, title: str, out: Path) -> None:
    """Draw spectrogram, frame importance, positive and negative view over one time axis.

    Parameters
    ----------
    stretch : MaskedStretch
        What to draw.
    title : str
        Above the figure.
    out : Path
        File whose suffix says the format, for example `.png` or `.svg`.

    Raises
    ------
    PemrError
        If matplotlib is not installed, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PemrError("a picture needs matplotlib: install pemr-covers[picture]") from error
    figure = Figure(figsize=(11, 8), layout="constrained")
    upper, middle, positive, negative = figure.subplots(
        4, 1, sharex=True, height_ratios=[3, 1.5, 3, 3]
    )
    figure.suptitle(title)
    _draw_view(upper, stretch, np.ones_like(stretch.is_crucial), "spectrogram")
    _draw_importance(middle, stretch)
    n_crucial, n_frames = int(stretch.is_crucial.sum()), len(stretch.is_crucial)
    _draw_view(positive, stretch, stretch.is_crucial, f"positive: {n_crucial} of {n_frames} frames")
    _draw_view(
        negative,
        stretch,
        ~stretch.is_crucial,
        f"negative: the other {n_frames - n_crucial}; masked frames are grey",
    )
    negative.set_xlabel("time (s)")
    try:
        figure.savefig(out, dpi=120)
    except (OSError, ValueError) as error:
        raise PemrError(f"{out}: cannot be written ({error})") from error


def _draw_view(
    axes: "Axes", stretch: MaskedStretch, is_kept: NDArray[np.bool_], title: str
) -> None:
    shown = np.where(is_kept, stretch.spectrogram, np.nan)
    low, high = np.percentile(stretch.spectrogram, [5, 99.5])
    axes.set_facecolor("0.75")
    extent = (stretch.start_s, stretch.end_s, 0, len(shown))
    axes.imshow(
        shown,
        origin="lower",
        aspect="auto",
        extent=extent,
        vmin=low,
        vmax=high,
        cmap="magma",
        interpolation="nearest",
    )
    axes.set_ylabel("bin")
    axes.set_title(title, loc="left", fontsize="medium")


def _draw_importance(axes: "Axes", stretch: MaskedStretch) -> None:
    edges = np.linspace(stretch.start_s, stretch.end_s, len(stretch.importance) + 1)
    axes.stairs(stretch.importance, edges, color="black", linewidth=0.8)
    axes.bar(
        edges[:-1][~stretch.is_crucial],
        1,
        width=edges[1] - edges[0],
        align="edge",
        transform=axes.get_xaxis_transform(),
        color="tab:orange",
        alpha=0.4,
        linewidth=0,
        label="inessential",
    )
    for edge_s in np.linspace(stretch.start_s, stretch.end_s, stretch.n_crops + 1)[1:-1]:
        axes.axvline(edge_s, color="0.3", linestyle=":", linewidth=0.8)
    axes.axhline(1.0, color="0.5", linewidth=0.5)
    axes.set_ylabel("importance")
    axes.set_title("attention to each frame over its crop's mean", loc="left", fontsize="medium")
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize="small")
