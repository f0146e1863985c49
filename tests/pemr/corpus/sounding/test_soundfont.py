import numpy as np
import pytest

from pemr.corpus.playing.arrange import Event, PlayedPart
from pemr.corpus.sounding import soundfont
from pemr.corpus.sounding.soundfont import SAMPLE_RATE, SoundFont, find_fonts, is_held_out
from pemr.errors import CorpusError


@pytest.fixture(scope="module")
def font():
    small = sorted(find_fonts(), key=lambda path: path.stat().st_size)
    if not small or soundfont.ctypes.util.find_library("fluidsynth") is None:
        pytest.skip("needs FluidSynth and a SoundFont")
    return SoundFont(small[0])


def track(*events, role="melody", program=73, gain_db=0.0):
    return PlayedPart(role, program, "", gain_db, events)


def peak_hz(waveform):
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return np.argmax(spectrum) * SAMPLE_RATE / len(waveform)


@pytest.mark.parametrize("pitch", [72.0, 72.4, 71.6])
def test_font_plays_between_the_keys(font, pitch):
    waveform = font.play([track(Event(0.0, 1.8, pitch, 100))], 2 * SAMPLE_RATE)
    cents = 1200 * np.log2(peak_hz(waveform[4000:]) / (440 * 2 ** ((pitch - 69) / 12)))
    assert cents % 1200 == pytest.approx(0, abs=15) or cents % 1200 == pytest.approx(1200, abs=15)


def test_font_starts_when_the_event_does_and_forgets_the_last_performance(font):
    first = font.play([track(Event(0.5, 0.3, 72, 100))], SAMPLE_RATE)
    assert np.abs(first[:7900]).max() < 1e-3
    assert np.abs(first[8000:12000]).max() > 1e-2
    font.play([track(Event(0.0, 5.0, 60, 127), program=19)], SAMPLE_RATE)
    again = font.play([track(Event(0.5, 0.3, 72, 100))], SAMPLE_RATE)
    np.testing.assert_allclose(first, again, atol=1e-6)


def test_gain_and_drums_are_heard(font):
    event = Event(0.0, 1.0, 72, 100)
    soft, loud = (font.play([track(event, gain_db=g)], SAMPLE_RATE) for g in (-12.0, 0.0))
    ratio_db = 20 * np.log10(np.std(loud) / np.std(soft))
    assert ratio_db == pytest.approx(12, abs=3)
    assert font.play([track(Event(0, 0.1, 38, 100), role="drums")], SAMPLE_RATE).any()


def test_file_that_is_no_font_is_an_error(tmp_path):
    if soundfont.ctypes.util.find_library("fluidsynth") is None:
        pytest.skip("needs FluidSynth")
    path = tmp_path / "broken.sf2"
    path.write_bytes(b"RIFF nonsense")
    with pytest.raises(CorpusError, match="not a SoundFont"):
        SoundFont(path)


def test_missing_fluidsynth_says_what_to_install(monkeypatch, tmp_path):
    soundfont._library.cache_clear()
    monkeypatch.setattr(soundfont.ctypes.util, "find_library", lambda _: None)
    with pytest.raises(CorpusError, match=r"install it .*built-in synthesiser"):
        SoundFont(tmp_path / "any.sf2")


def test_one_font_is_held_out(tmp_path):
    assert is_held_out(tmp_path / "MuseScore_General_Lite.sf3")
    assert not is_held_out(tmp_path / "FluidR3_GM.sf2")
