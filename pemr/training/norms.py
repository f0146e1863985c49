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
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
    chosen = recordings[:: max(1, len(recordings) // 512)]
    encoder.train()
    with torch.no_grad(), machine.autocast():
        for start in range(0, len(chosen), _BATCH_SIZE):
            cut = [pieces_of(recording, config) for recording in chosen[start:][:_BATCH_SIZE]]
            encoder(torch.cat(cut).to(machine.device))
    encoder.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def pieces_of(recording: Prepared, config: ModelConfig) -> Tensor:
    """Cut a prepared recording into consecutive crops, (S, F, T) in dB."""
    return pieces(np.load(recording.cached, mmap_mode="r"), config.front_end)
