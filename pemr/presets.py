"""Whole configurations by name.

A run is one of these functions; a variant is another function that replaces
what differs and says why.
"""

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

from pemr.config import (
    Config,
    CoverConfig,
    FcnConfig,
    FinetuneConfig,
    LossConfig,
    MaskConfig,
    MelConfig,
    PredictorConfig,
    PretrainConfig,
    SemitoneConfig,
    SpectrogramViewConfig,
    WaveformViewConfig,
)
from pemr.errors import UnknownPresetError


def paper() -> Config:
    """Return PEMR as its authors' code trains it (docs/paper.md)."""
    return Config(preset="paper", finetune=FinetuneConfig(learning_rate=3e-4))


def paper_2021() -> Config:
    """Return PEMR as its authors first uploaded it: 16 kHz, pitch shift in place of reverb."""
    base = paper()
    return replace(
        base,
        preset="paper-2021",
        front_end=replace(MelConfig(), sample_rate=16_000),
        view=replace(WaveformViewConfig(), reverb=0.0, pitch=0.6),
        loss=replace(base.loss, prediction=0.005),
    )


def tiny() -> Config:
    """Return every part of PEMR at a size that trains in seconds on one core.

    The projection keeps its 256 dimensions: the off-diagonal of the correlation
    has as many terms as their square, and with few of them its weight no longer
    holds the dimensions apart.
    """
    return Config(
        preset="tiny",
        front_end=MelConfig(sample_rate=4_000, filter_rate=4_000, segment_length=8_192),
        view=WaveformViewConfig(band=0.0),  # the cut-offs are made for the whole band
        mask=MaskConfig(n_layers=2, n_heads=2, d_key=16, d_feedforward=64),
        predictor=PredictorConfig(d_hidden=64),
        encoder=FcnConfig(channels=(8, 16, 32), pools=((4, 4), (4, 4), (4, 4))),
        loss=LossConfig(d_hidden=128),
        pretrain=PretrainConfig(n_steps=200, batch_size=16, learning_rate=1e-3),
    )


def cover() -> Config:
    """Return the encoder of the shipped weights: semitones in, key taken out by construction."""
    return Config(
        preset="cover",
        front_end=SemitoneConfig(),
        view=SpectrogramViewConfig(),
        mask=MaskConfig(
            tokens="profile",  # in dB all frames look alike, and the mask chooses at random
            filler_db=-50.0,  # at 0 dB it would be the loudest of what is heard
            d_key=28,
            n_layers=2,
            d_feedforward=256,
            dropout=0.0,
        ),
        predictor=PredictorConfig(kind="token", huber_delta=1.0),
        loss=LossConfig(negative=0.2, prediction=1.0),
        encoder=CoverConfig(),
        pretrain=PretrainConfig(n_steps=2_000, warm_up=200),
    )


def cover_harmony() -> Config:
    """Give the encoder that reads harmony beside the spectrogram: wide, and briefly trained."""
    base = cover()
    return replace(
        base,
        preset="cover-harmony",
        encoder=CoverConfig(n_stem=16, n_narrow=80, n_wide=128, dim=320, n_harmony=16),
        finetune=FinetuneConfig(
            n_steps=2_000, n_cliques=256, n_crops=4, easy=500, warm_up=200, temperature=0.05
        ),
    )


def cover_continued() -> Config:
    """Return what trains on from weights that can tell works apart: no easy start."""
    base = cover()
    return replace(
        base,
        preset="cover-continued",
        finetune=replace(base.finetune, n_steps=2_000, easy=0, learning_rate=1e-3),
    )


def cover_finish() -> Config:
    """Return what trains the last steps, on performances that sound: slower, looked at often."""
    base = cover_continued()
    return replace(
        base,
        preset="cover-finish",
        finetune=replace(base.finetune, n_steps=450, learning_rate=5e-4, score_every=150),
    )


def cover_beside() -> Config:
    """Return the recipe of `cover` with PEMR on real music beside the cliques."""
    base = cover()
    return replace(
        base,
        preset="cover-beside",
        pretrain=replace(base.pretrain, batch_size=32),
        finetune=replace(base.finetune, beside=0.5),
    )


def cover_full() -> Config:
    """Return the encoder that a GPU can train: five times the parameters, twenty million crops."""
    return replace(
        cover(),
        preset="cover-full",
        encoder=CoverConfig(n_stem=24, n_narrow=128, n_wide=160, dilations=(1, 2, 2, 4), dim=512),
        finetune=FinetuneConfig(
            n_steps=20_000, n_cliques=256, n_crops=4, easy=1_000, warm_up=500,
            score_every=1_000, patience=6,
        ),
    )  # fmt: skip


PRESETS: MappingProxyType[str, Callable[[], Config]] = MappingProxyType(
    {
        "paper": paper,
        "paper-2021": paper_2021,
        "tiny": tiny,
        "cover": cover,
        "cover-harmony": cover_harmony,
        "cover-continued": cover_continued,
        "cover-finish": cover_finish,
        "cover-beside": cover_beside,
        "cover-full": cover_full,
    }
)


def named(name: str, batch_size: int | None = None, seed: int | None = None) -> Config:
    """Return a preset by its name, with what may differ by machine.

    Parameters
    ----------
    name : str
        A key of `PRESETS`.
    batch_size, seed : int, optional
        In place of the preset's own.

    Returns
    -------
    Config

    Raises
    ------
    UnknownPresetError
        If no preset is called so.
    """
    if name not in PRESETS:
        raise UnknownPresetError(name, tuple(PRESETS))
    config = PRESETS[name]()
    recipe = replace(
        config.pretrain,
        batch_size=config.pretrain.batch_size if batch_size is None else batch_size,
        seed=config.pretrain.seed if seed is None else seed,
    )
    return replace(config, pretrain=recipe)


def for_finetuning(name: str, n_cliques: int | None = None, seed: int | None = None) -> Config:
    """Return a preset by its name for training on cliques, with what may differ by machine.

    Parameters
    ----------
    name : str
        A key of `PRESETS`.
    n_cliques, seed : int, optional
        In place of the preset's own.

    Returns
    -------
    Config

    Raises
    ------
    UnknownPresetError
        If no preset is called so.
    """
    config = named(name)
    recipe = replace(
        config.finetune,
        n_cliques=config.finetune.n_cliques if n_cliques is None else n_cliques,
        seed=config.finetune.seed if seed is None else seed,
    )
    return replace(config, finetune=recipe)
