"""SoundFonts: tracks are played by FluidSynth, bound as a library.

Bound rather than called, so that a font of hundreds of megabytes is read once
per process, not once per performance. The tune and the band are played apart,
because their balance is the recipe's.

Letters: L samples.
"""

import ctypes
import ctypes.util
import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from pemr.corpus.playing.arrange import PlayedPart
from pemr.corpus.sounding.synth import Waveform
from pemr.errors import CorpusError
from pemr.signal.audio import SAMPLE_RATE

log = logging.getLogger(__name__)

FOLDERS = (
    Path("/usr/share/sounds/sf2"),
    Path("/usr/share/sounds/sf3"),
    Path("/usr/share/soundfonts"),
    Path("/opt/homebrew/share/soundfonts"),
)
HELD_OUT_FONT: Final = "MuseScore_General"  # plays in the split `test`, and nowhere else

_DRUM_CHANNEL = 9
_N_CHANNELS = 16
_POLYPHONY = 96
_GAIN = 0.3
_BLOCK = 64  # samples that FluidSynth renders at once: events start with one
_MONO = np.array([0.5, 0.5], dtype=np.float32)


class _Action(NamedTuple):
    sample: int
    is_on: bool
    channel: int
    key: int
    velocity: int
    bend: int


def find_fonts() -> list[Path]:
    """SoundFonts in the usual places.

    Returns
    -------
    list of Path
        Sorted by name, each file once.
    """
    files = {
        path.resolve()
        for folder in FOLDERS
        for pattern in ("*.sf2", "*.sf3")
        for path in folder.glob(pattern)
    }
    return sorted(files, key=lambda path: path.name)


def choose_fonts(fonts: Sequence[Path] | None) -> tuple[str, ...]:
    """Check the SoundFonts named by the user, or find some.

    Parameters
    ----------
    fonts : sequence of Path or None
        None for those in the usual places, where FluidSynth is installed.

    Returns
    -------
    tuple of str
        Paths for an `Order`.

    Raises
    ------
    CorpusError
        If one is missing.
    """
    for font in fonts or ():
        if not font.is_file():
            raise CorpusError("no such SoundFont; Debian has some: fluid-soundfont-gm", font)
    found = fonts if fonts is not None else find_fonts() if is_available() else ()
    if fonts is None and not found:
        log.warning(
            "no SoundFont or no FluidSynth, so the built-in synthesiser plays; Debian has "
            "libfluidsynth3 and fluid-soundfont-gm"
        )
    return tuple(str(font.resolve()) for font in found)


def is_available() -> bool:
    """Whether FluidSynth is installed."""
    return ctypes.util.find_library("fluidsynth") is not None


def is_held_out(path: Path) -> bool:
    """Whether a SoundFont is kept for the split ``test``."""
    return path.stem.startswith(HELD_OUT_FONT)


@cache
def _library() -> Any:  # noqa: ANN401 - a C library has no type
    name = ctypes.util.find_library("fluidsynth")
    if name is None:
        raise CorpusError(
            "FluidSynth is not installed; install it (Debian: libfluidsynth3, macOS: "
            "`brew install fluid-synth`), or leave out --soundfont for the built-in synthesiser"
        )
    library = ctypes.CDLL(name)
    pointer, integer, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    signatures: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "new_fluid_settings": (pointer, ()),
        "fluid_settings_setnum": (integer, (pointer, text, ctypes.c_double)),
        "fluid_settings_setint": (integer, (pointer, text, integer)),
        "new_fluid_synth": (pointer, (pointer,)),
        "delete_fluid_synth": (None, (pointer,)),
        "delete_fluid_settings": (None, (pointer,)),
        "fluid_synth_sfload": (integer, (pointer, text, integer)),
        "fluid_synth_system_reset": (integer, (pointer,)),
        "fluid_synth_all_sounds_off": (integer, (pointer, integer)),
        "fluid_synth_program_change": (integer, (pointer, integer, integer)),
        "fluid_synth_pitch_bend": (integer, (pointer, integer, integer)),
        "fluid_synth_cc": (integer, (pointer, integer, integer, integer)),
        "fluid_synth_noteon": (integer, (pointer, integer, integer, integer)),
        "fluid_synth_noteoff": (integer, (pointer, integer, integer)),
        "fluid_synth_write_float": (
            integer, (pointer, integer, pointer, integer, integer, pointer, integer, integer)
        ),
        "fluid_set_log_function": (pointer, (integer, pointer, pointer)),
    }  # fmt: skip
    for function, (result, arguments) in signatures.items():
        getattr(library, function).restype = result
        getattr(library, function).argtypes = arguments
    for level in range(5):
        library.fluid_set_log_function(level, None, None)  # what goes wrong is told by us
    return library


class SoundFont:
    """A General MIDI SoundFont as an engine.

    Parameters
    ----------
    path : Path
        ``.sf2`` or ``.sf3``.

    Raises
    ------
    CorpusError
        If FluidSynth is absent, or the file is no SoundFont.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        fluid = _library()
        settings = fluid.new_fluid_settings()
        fluid.fluid_settings_setnum(settings, b"synth.sample-rate", float(SAMPLE_RATE))
        fluid.fluid_settings_setnum(settings, b"synth.gain", _GAIN)
        for name in (b"synth.reverb.active", b"synth.chorus.active", b"synth.threadsafe-api"):
            fluid.fluid_settings_setint(settings, name, 0)
        fluid.fluid_settings_setint(settings, b"synth.polyphony", _POLYPHONY)
        self._synth = fluid.new_fluid_synth(settings)
        if fluid.fluid_synth_sfload(self._synth, str(path).encode(), 1) < 0:
            raise CorpusError("not a SoundFont that FluidSynth can read", path)

    def play(self, tracks: Sequence[PlayedPart], length: int) -> Waveform:
        """Play tracks together; see `Engine.play`."""
        fluid = _library()
        fluid.fluid_synth_all_sounds_off(self._synth, -1)
        self._write(np.zeros((_BLOCK, 2), dtype=np.float32))  # or the reset would undo it
        fluid.fluid_synth_system_reset(self._synth)
        channels = _channels(tracks)
        for track, channel in zip(tracks, channels, strict=True):
            fluid.fluid_synth_program_change(self._synth, channel, track.program)
            volume = round(100 * 10 ** (track.gain_db / 40))  # MIDI's law: 40 dB a decade
            fluid.fluid_synth_cc(self._synth, channel, 7, min(127, volume))
        actions = sorted(a for t, c in zip(tracks, channels, strict=True) for a in _actions(t, c))
        stereo = np.zeros((length + -length % _BLOCK, 2), dtype=np.float32)
        at = 0
        for action in actions:
            if action.sample > at:
                self._write(stereo[at : action.sample])
                at = action.sample
            if action.is_on:
                fluid.fluid_synth_pitch_bend(self._synth, action.channel, action.bend)
                fluid.fluid_synth_noteon(self._synth, action.channel, action.key, action.velocity)
            else:
                fluid.fluid_synth_noteoff(self._synth, action.channel, action.key)
        self._write(stereo[at:])
        return np.asarray(stereo[:length] @ _MONO, dtype=np.float32)

    def _write(self, stereo: Waveform) -> None:
        if not len(stereo):
            return
        out = stereo.ctypes.data
        _library().fluid_synth_write_float(self._synth, len(stereo), out, 0, 2, out, 1, 2)


def _channels(tracks: Sequence[PlayedPart]) -> list[int]:
    free = [c for c in range(_N_CHANNELS) if c != _DRUM_CHANNEL]
    channels = []
    for track in tracks:
        if track.role == "drums":
            channels.append(_DRUM_CHANNEL)
        else:
            channels.append(free.pop(0) if len(free) > 1 else free[0])
    return channels


def _sample(time_s: float) -> int:
    return round(time_s * SAMPLE_RATE / _BLOCK) * _BLOCK


def _actions(track: PlayedPart, channel: int) -> list[_Action]:
    actions = []
    for event in track.events:
        key = round(event.pitch)
        if not 0 <= key < 128:
            continue
        start, end = _sample(event.start_s), _sample(event.start_s + event.duration_s)
        bend = 8192 + round((event.pitch - key) * 4096)  # two semitones either way
        actions.append(_Action(start, True, channel, key, event.velocity, bend))
        actions.append(_Action(max(start + _BLOCK, end - _BLOCK), False, channel, key, 0, bend))
    return actions
