import av
import numpy as np
import pytest

from pemr.corpus.playing.arrange import Arrangement, Event, PlayedPart
from pemr.corpus.sounding.render import (
    LEVEL_DBFS,
    SAMPLE_RATE,
    BuiltIn,
    at_level,
    loudness,
    render,
    write_flac,
)


def performance(*tracks, band_db=0.0):
    beats = np.array([[0.0, 0.0], [1.0, 2.0]])
    return Arrangement(tracks, 2.0, beats, (), band_db)


TUNE = PlayedPart("melody", 73, "", 0.0, (Event(0.0, 1.9, 81, 100),))
SUNG = PlayedPart("melody", 52, "alto", 0.0, (Event(0.1, 1.7, 64, 100),))
BASS = PlayedPart("bass", 16, "", 0.0, (Event(0.0, 1.9, 45, 100),))


def level_at(waveform, hz):
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    place = round(hz * len(waveform) / SAMPLE_RATE)
    return 20 * np.log10(spectrum[place - 8 : place + 9].max())


@pytest.mark.parametrize("band_db", [-12.0, 0.0, 9.0])
def test_band_is_as_loud_against_the_tune_as_asked(band_db):
    def balance(db):
        mix = render(performance(TUNE, BASS, band_db=db), BuiltIn())
        return level_at(mix, 110) - level_at(mix, 880)

    assert balance(band_db) - balance(0.0) == pytest.approx(band_db, abs=1.0)


@pytest.mark.parametrize("tracks", [(TUNE,), (BASS,), (SUNG,), (SUNG, BASS)])
def test_mix_has_its_level_whoever_plays(tracks):
    mix = render(performance(*tracks), BuiltIn())
    assert len(mix) == 2 * SAMPLE_RATE
    assert 20 * np.log10(loudness(mix)) == pytest.approx(LEVEL_DBFS, abs=0.1)


def test_silence_stays_silent():
    silent = np.zeros(SAMPLE_RATE, np.float32)
    assert loudness(silent) == 0
    assert not at_level(silent, 0.0).any()
    assert loudness(np.zeros(3, np.float32)) == 0


def test_flac_holds_the_music_and_its_tags(tmp_path):
    waveform = (1.5 * np.sin(np.arange(40_000) / 20)).astype(np.float32)  # too loud on purpose
    path = tmp_path / "a.flac"
    write_flac(path, waveform, {"title": "Frère Jacques", "artist": "Nobody"})
    with av.open(str(path)) as stored:
        tags = {key.lower(): value for key, value in stored.metadata.items()}
        samples = np.concatenate([f.to_ndarray()[0] for f in stored.decode(audio=0)])
    assert (tags["title"], tags["artist"]) == ("Frère Jacques", "Nobody")
    assert len(samples) == len(waveform)
    assert np.corrcoef(samples, waveform)[0, 1] > 0.999
    assert np.abs(samples).max() < 32767
