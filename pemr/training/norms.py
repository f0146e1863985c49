"""An encoder and unlabelled recordings → batch statistics that fit these recordings.

What an encoder was trained on was masked, disguised, or drawn without sound; what it
will hear is none of that.

Letters: S pieces of a recording, F bins, T frames.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pemr.config import ModelConfig
from pemr.signal.crops import pieces
from pemr.training.data import Prepared
from pemr.training.machine import Machine

_BATCH_SIZE = 64  # recordings


def settle_norms(
    encoder: nn.Module, recordings: Sequence[Prepared], config: ModelConfig, machine: Machine
) -> None:
    """Measure the statistics of batch normalisation anew, on sound as it is (paper.md §10).

    Parameters
    ----------
    encoder : Module
        Its running statistics are replaced, nothing else.
    recordings : sequence of Prepared
        What to measure; a few hundred are enough, so no more are read.
    config : ModelConfig
        Front end.
    machine : Machine
        Where to compute.
    """
    norms = [m for m in encoder.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    before = [{name: value.clone() for name, value in norm.state_dict().items()} for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
    if config.reads_harmony:  # those without would only tell what silence looks like
        recordings = [one for one in recordings if one.harmony is not None] or recordings
    chosen = recordings[:: max(1, len(recordings) // 512)]
    encoder.train()
    with torch.no_grad(), machine.autocast():
        for start in range(0, len(chosen), _BATCH_SIZE):
            cut = [pieces_of(recording, config) for recording in chosen[start:][:_BATCH_SIZE]]
            encoder(torch.cat(cut).to(machine.device))
    encoder.eval()
    for norm, momentum, state in zip(norms, momenta, before, strict=True):
        norm.momentum = momentum
        if not norm.num_batches_tracked:  # harmony, of recordings without any
            norm.load_state_dict(state)


def pieces_of(recording: Prepared, config: ModelConfig) -> Tensor:
    """Cut a prepared recording into consecutive crops, (S, F, T) in dB, with harmony if read."""
    cut = pieces(np.load(recording.cached, mmap_mode="r"), config.front_end)
    if not config.reads_harmony or recording.harmony is None:
        return cut
    n_pieces, _, n_frames = cut.shape
    harmony = np.load(recording.harmony, mmap_mode="r")[:, : n_pieces * n_frames]
    beside = torch.from_numpy(harmony.astype(np.float32) / 255).unfold(1, n_frames, n_frames)
    return torch.cat([cut, beside.transpose(0, 1)], dim=1)
