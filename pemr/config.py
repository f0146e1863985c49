"""What a training run is: frozen dataclasses, one per owner.

A run is a preset function that returns a whole `Config` (see `pemr.presets`);
the checkpoint keeps it as JSON and `from_json` reads it back without guessing.
What embeds needs the `ModelConfig` in it alone, which `model_from_json` reads, so
that no change of how models are trained touches those that are trained already.
Section numbers are those of docs/paper.md.
"""

import dataclasses
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal


def _check(owner: object, name: str, is_good: bool, bound: str) -> None:
    """Raise ValueError naming owner, field, value and bound."""
    if not is_good:
        field = f"{type(owner).__name__}.{name}"
        raise ValueError(f"{field} is {getattr(owner, name)!r}, but it must be {bound}")


@dataclass(frozen=True, kw_only=True)
class MelConfig:
    """The log-mel front end of the paper: short crops of waveform."""

    kind: Literal["mel"] = "mel"
    sample_rate: int = 22_050  # Hz
    filter_rate: int = 16_000  # Hz that the mel filters are laid out for (§1)
    segment_length: int = 59_049  # samples in a crop, 3^10

    def __post_init__(self) -> None:
        _check(self, "sample_rate", self.sample_rate > 0, "positive")
        _check(self, "filter_rate", self.filter_rate > 0, "positive")
        _check(self, "segment_length", self.segment_length > 256, "above one Fourier transform")

    @property
    def shape(self) -> tuple[int, int]:
        """Frequency bins F and frames T of one crop: 128 mel bands, a frame every 128 samples."""
        return 128, self.segment_length // 128 + 1


@dataclass(frozen=True, kw_only=True)
class SemitoneConfig:
    """The semitone front end: crops of the spectrogram that `pemr.signal.frontend` makes."""

    kind: Literal["semitone"] = "semitone"
    n_bins: int = 84  # seven octaves
    n_frames: int = 100  # 20 s at 5 frames a second

    def __post_init__(self) -> None:
        _check(self, "n_bins", self.n_bins > 0, "positive")
        _check(self, "n_frames", self.n_frames > 0, "positive")

    @property
    def shape(self) -> tuple[int, int]:
        """Frequency bins F and frames T of one crop."""
        return self.n_bins, self.n_frames


@dataclass(frozen=True, kw_only=True)
class WaveformViewConfig:
    """How a crop of waveform becomes another view of itself: probability of each step."""

    kind: Literal["waveform"] = "waveform"
    polarity: float = 0.8
    noise: float = 0.01
    gain: float = 0.3
    band: float = 0.8  # high-pass or low-pass, a coin decides
    delay: float = 0.3
    reverb: float = 0.6
    pitch: float = 0.0  # the first upload had 0.6 and no reverb (§2)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self)[1:]:
            _check(self, field.name, 0.0 <= getattr(self, field.name) <= 1.0, "in 0..1")


@dataclass(frozen=True, kw_only=True)
class SpectrogramViewConfig:
    """How two views of a semitone spectrogram differ: each is disguised by itself.

    Both show nearly the same moment. What two places of a recording share is who
    plays, and in which room; what two disguises of one place share is the music.
    """

    kind: Literal["spectrogram"] = "spectrogram"
    max_apart_s: float = 4.0  # between the middles of two views

    def __post_init__(self) -> None:
        _check(self, "max_apart_s", self.max_apart_s >= 0.0, "at least 0")


@dataclass(frozen=True, kw_only=True)
class MaskConfig:
    """The frame transformer and the positive-negative mask that it draws."""

    kind: Literal["attention", "random"] = "attention"  # random is the ablation's control
    tokens: Literal["decibels", "profile"] = "decibels"  # what a frame is to the transformer
    ratio: float = 0.1  # share of frames that are inessential
    filler_db: float = 0.0  # level of [MASK] before it is learned
    n_layers: int = 3
    n_heads: int = 3
    d_key: int = 128  # per head; not the frame's size over the heads
    d_feedforward: int = 2048
    dropout: float = 0.1

    def __post_init__(self) -> None:
        _check(self, "ratio", 0.0 < self.ratio < 1.0, "between 0 and 1")
        _check(self, "n_layers", self.n_layers >= 1, "at least 1")
        _check(self, "n_heads", self.n_heads >= 1, "at least 1")
        _check(self, "dropout", 0.0 <= self.dropout < 1.0, "in 0..1")


@dataclass(frozen=True, kw_only=True)
class PredictorConfig:
    """The frame prediction task that the transformer learns from."""

    kind: Literal["batch", "token"] = "batch"  # corrupted in one way, or each in its own
    select: float = 0.15  # share of positions that are corrupted
    d_hidden: int = 512  # of the predicting layer
    huber_delta: float = 0.1

    def __post_init__(self) -> None:
        _check(self, "select", 0.0 < self.select < 1.0, "between 0 and 1")
        _check(self, "huber_delta", self.huber_delta > 0.0, "positive")


@dataclass(frozen=True, kw_only=True)
class FcnConfig:
    """The paper's encoder: four convolutions, each with its pooling."""

    kind: Literal["fcn"] = "fcn"
    channels: tuple[int, ...] = (64, 128, 128, 128)
    pools: tuple[tuple[int, int], ...] = ((2, 4), (2, 4), (2, 4), (4, 5))  # (bins, frames)

    def __post_init__(self) -> None:
        _check(self, "pools", len(self.pools) == len(self.channels), "one for each channel count")


@dataclass(frozen=True, kw_only=True)
class CoverConfig:
    """The cover encoder: convolutions around the circle of pitch classes."""

    kind: Literal["cover"] = "cover"
    n_stem: int = 12  # channels before octaves are folded
    n_narrow: int = 48  # channels at 2.5 frames a second
    n_wide: int = 80  # channels at 1.25 frames a second
    dilations: tuple[int, ...] = (1, 2, 2)  # of the late blocks, in frames
    dim: int = 192  # of the feature h
    n_dims: int = 128  # of the embedding
    n_harmony: int = 0  # channels for pitch, bass and root of the chords; 0 reads no harmony

    def __post_init__(self) -> None:
        for name in ("n_stem", "n_narrow", "n_wide", "dim", "n_dims"):
            _check(self, name, getattr(self, name) >= 1, "at least 1")
        _check(self, "n_harmony", self.n_harmony >= 0, "at least 0")
        _check(self, "dilations", all(step >= 1 for step in self.dilations), "at least 1 each")


@dataclass(frozen=True, kw_only=True)
class PairConfig:
    """Two cover encoders that hear the same, their embeddings side by side."""

    kind: Literal["pair"] = "pair"
    first: CoverConfig = CoverConfig()
    second: CoverConfig = CoverConfig()

    @property
    def n_dims(self) -> int:
        """Length of the embedding: both side by side."""
        return self.first.n_dims + self.second.n_dims

    @property
    def n_harmony(self) -> int:
        """Channels for harmony in both."""
        return self.first.n_harmony + self.second.n_harmony


@dataclass(frozen=True, kw_only=True)
class DisguiseConfig:
    """How a crop is made to look like another recording; the recipe starts mild."""

    max_roll: int = 6  # semitones up or down
    max_stretch: float = 1.45  # tempo factor, and its inverse
    max_eq_db: float = 3.0  # standard deviation of the equaliser's knots, and of slow gain
    max_noise_db: float = 3.0  # standard deviation of the level of a cell
    floor_db: tuple[float, float] = (25.0, 85.0)  # noise, below the loudest cell
    max_gamma: float = 0.25  # relative change of the dynamic range
    mask: float = 0.4  # probability of a hidden stretch of time, and of one of bins
    mix: float = 0.15  # probability of another work underneath
    deaf: float = 0.2  # probability that no harmony was heard
    blind: float = 0.1  # probability that nothing but noise is seen, where harmony was heard
    jitter_s: float = 2.0  # standard deviation of where a crop starts

    def __post_init__(self) -> None:
        _check(self, "max_roll", self.max_roll >= 0, "at least 0")
        _check(self, "max_stretch", self.max_stretch >= 1.0, "at least 1")
        for name in ("mask", "mix", "deaf", "blind"):
            _check(self, name, 0.0 <= getattr(self, name) <= 1.0, "in 0..1")


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """The recipe of training on cliques."""

    n_steps: int = 3000
    n_cliques: int = 40  # in a batch, over all processes
    n_crops: int = 3  # of each clique
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    warm_up: int = 50  # steps until the learning rate is reached
    easy: int = 1000  # steps over which cliques with two crops of one performance get fewer
    temperature: float = 0.1
    kept: Literal["lower", "all"] = "lower"  # layers of a pretrained encoder; others start afresh
    beside: float = 0.0  # share of PEMR on unlabelled recordings in the loss
    score_every: int = 250  # steps between two validations
    patience: int = 8  # validations without a better score before the run ends
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self, "n_steps", self.n_steps > 0, "positive")
        _check(self, "n_cliques", self.n_cliques >= 2, "at least 2: cliques are told apart")
        _check(self, "n_crops", self.n_crops >= 2, "at least 2: crops of a clique are compared")
        _check(self, "learning_rate", self.learning_rate > 0.0, "positive")
        _check(self, "temperature", self.temperature > 0.0, "positive")
        _check(self, "beside", 0.0 <= self.beside < 1.0, "at least 0 and below 1")
        _check(self, "score_every", self.score_every > 0, "positive")
        _check(self, "patience", self.patience > 0, "positive")


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of PEMR's losses, equations 8, 9 and 11."""

    off_diagonal: float = 0.005  # λ2
    negative: float = 0.005  # λ1; 0 trains without the negative view
    prediction: float = 0.01  # β; 0 leaves the transformer as it was drawn
    d_hidden: int = 512  # of the projector
    d_projection: int = 256

    def __post_init__(self) -> None:
        for name in ("off_diagonal", "negative", "prediction"):
            _check(self, name, getattr(self, name) >= 0.0, "at least 0")


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """The recipe of pretraining."""

    n_steps: int = 0  # 0: as many as the epochs have
    n_epochs: int = 300  # full batches of all recordings, where no steps are given (§4)
    batch_size: int = 48
    learning_rate: float = 3e-4
    warm_up: int = 0  # steps until the learning rate is reached; the paper has none
    seed: int = 42

    def __post_init__(self) -> None:
        _check(self, "n_steps", self.n_steps >= 0, "at least 0")
        _check(self, "n_epochs", self.n_epochs > 0, "positive")
        _check(self, "batch_size", self.batch_size >= 2, "at least 2: losses compare recordings")
        _check(self, "learning_rate", self.learning_rate > 0.0, "positive")
        _check(self, "warm_up", self.warm_up >= 0, "at least 0")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything that decides what a trained model computes."""

    preset: str
    front_end: MelConfig | SemitoneConfig = MelConfig()
    encoder: FcnConfig | CoverConfig | PairConfig = FcnConfig()

    @property
    def reads_harmony(self) -> bool:
        """Whether the encoder reads harmony beside the spectrogram."""
        return not isinstance(self.encoder, FcnConfig) and self.encoder.n_harmony > 0


@dataclass(frozen=True, kw_only=True)
class Config(ModelConfig):
    """Everything that decides what a training run computes."""

    view: WaveformViewConfig | SpectrogramViewConfig = WaveformViewConfig()
    mask: MaskConfig = MaskConfig()
    predictor: PredictorConfig = PredictorConfig()
    loss: LossConfig = LossConfig()
    pretrain: PretrainConfig = PretrainConfig()
    disguise: DisguiseConfig = DisguiseConfig()
    finetune: FinetuneConfig = FinetuneConfig()

    def __post_init__(self) -> None:
        expected = {"mel": "waveform", "semitone": "spectrogram"}[self.front_end.kind]
        _check(self, "view", self.view.kind == expected, f"of kind {expected!r}")
        n_frames = self.front_end.shape[1]
        hides = int(self.mask.ratio * n_frames) >= 1
        _check(self, "mask", hides, f"of a ratio that hides one of {n_frames} frames or more")


def to_json(config: ModelConfig) -> dict[str, Any]:
    """Turn a config into what `json` writes.

    Parameters
    ----------
    config : ModelConfig
        Any preset, a variant of one, or what is left of it in a trained model.

    Returns
    -------
    dict
        Nested dictionaries of plain values; tuples stay tuples until written.
    """
    return dataclasses.asdict(config)


def from_json(stored: dict[str, Any]) -> Config:
    """Read a config back, refusing what it does not know.

    Parameters
    ----------
    stored : dict
        What `to_json` gave, after a trip through a file.

    Returns
    -------
    Config

    Raises
    ------
    ValueError
        If a field is missing, unknown, or out of its bounds.
    """
    built: Config = _build(Config, stored)
    return built


def model_from_json(stored: dict[str, Any]) -> ModelConfig:
    """Read of a config what a trained model needs, and look at nothing else.

    Parameters
    ----------
    stored : dict
        What `to_json` gave of a `Config` or a `ModelConfig`, now or with an older
        version of this program.

    Returns
    -------
    ModelConfig
        A field of front end or encoder that is not stored did not exist then, and
        has its default: a new field's default is what was done before it.

    Raises
    ------
    ValueError
        If front end or encoder is missing, of an unknown kind, has an unknown
        field, or one out of its bounds.
    """
    names = {field.name for field in dataclasses.fields(ModelConfig)}
    if not isinstance(stored, dict) or not names <= set(stored):
        raise ValueError(f"a model has the fields {sorted(names)}, not {_names(stored)}")
    parts = {name: stored[name] for name in names}
    built: ModelConfig = _build(ModelConfig, parts, may_lack=True)
    return built


def _build(owner: Any, stored: Any, *, may_lack: bool = False) -> Any:  # noqa: ANN401 (any dataclass)
    names = {field.name for field in dataclasses.fields(owner)}
    is_dict = isinstance(stored, dict)
    if not is_dict or set(stored) - names or (names - set(stored) and not may_lack):
        raise ValueError(f"{owner.__name__} has the fields {sorted(names)}, not {_names(stored)}")
    hints = typing.get_type_hints(owner)
    return owner(**{name: _value(hints[name], value, may_lack) for name, value in stored.items()})


def _names(stored: Any) -> Any:  # noqa: ANN401 (any plain value)
    return sorted(stored) if isinstance(stored, dict) else stored


def _value(hint: Any, value: Any, may_lack: bool) -> Any:  # noqa: ANN401 (any type, any plain value)
    if isinstance(hint, types.UnionType):
        return _build(_member(hint, value), value, may_lack=may_lack)
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, may_lack=may_lack)
    if typing.get_origin(hint) is Literal and value not in typing.get_args(hint):
        raise ValueError(f"no kind {value!r} is known, only {typing.get_args(hint)}")
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)[0]
        return tuple(_value(inner, item, may_lack) for item in value)
    return value


def _member(union: types.UnionType, value: Any) -> Any:  # noqa: ANN401 (as above)
    """Pick the dataclass of a union by its `kind`."""
    for member in typing.get_args(union):
        if isinstance(value, dict) and member.kind == value.get("kind"):
            return member
    raise ValueError(f"no part of a config has the kind of {value!r}")
