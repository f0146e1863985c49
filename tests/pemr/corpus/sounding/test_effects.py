import numpy as np
import pytest

from pemr.corpus.sounding.effects import EFFECTS, SAMPLE_RATE, apply_chain, draw_chain, rms


def tone(hz=440.0, duration_s=2.0):
    t = np.arange(int(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.1 * np.sin(2 * np.pi * hz * t)).astype(np.float32)


@pytest.mark.parametrize("name", EFFECTS)
def test_effect_keeps_the_length_and_is_repeatable(name):
    effect = EFFECTS[name]
    parameters = effect.draw(np.random.default_rng(1))
    first, again = (effect.apply(tone(), parameters, np.random.default_rng(2)) for _ in range(2))
    assert first.shape == tone().shape
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, tone())


@pytest.mark.parametrize("codec", ["mp3", "aac", "opus"])
def test_codec_gives_the_music_back(codec, rng):
    coded = EFFECTS["codec"].apply(tone(), {"codec": codec, "bit_rate": 64000.0}, rng)
    spectrum = np.abs(np.fft.rfft(coded))
    assert np.argmax(spectrum) * SAMPLE_RATE / len(coded) == pytest.approx(440, abs=1)
    assert rms(coded[4000:-4000]) == pytest.approx(rms(tone()), rel=0.15)


def test_band_limit_takes_away_what_is_outside(rng):
    parameters = {"low_hz": 300.0, "high_hz": 3400.0}
    band = EFFECTS["band"]
    assert rms(band.apply(tone(1000), parameters, rng)) == pytest.approx(rms(tone()), rel=0.05)
    assert rms(band.apply(tone(60), parameters, rng)) < 0.1 * rms(tone())
    assert rms(band.apply(tone(6000), parameters, rng)) < 0.1 * rms(tone())


def test_room_rings_on(rng):
    dry = tone()
    dry[16000:] = 0
    parameters = {"decay_s": 1.5, "wet_db": 0.0, "delay_s": 0.01, "damping": 0.5}
    wet = EFFECTS["room"].apply(dry, parameters, rng)
    assert rms(wet[17000:20000]) > 0.1 * rms(wet[8000:16000])
    assert rms(wet[17000:20000]) > 2 * rms(wet[28000:])


def test_compressor_narrows_the_range(rng):
    swelling = tone() * np.linspace(0.05, 1, 2 * SAMPLE_RATE, dtype=np.float32)
    parameters = {"threshold_db": -20.0, "ratio": 8.0, "release_s": 0.1}
    pressed = EFFECTS["compressor"].apply(swelling, parameters, rng)
    before = rms(swelling[-4000:]) / rms(swelling[4000:8000])
    assert rms(pressed[-4000:]) / rms(pressed[4000:8000]) < 0.6 * before


def test_training_never_hears_what_is_held_out():
    kept = {name for name, effect in EFFECTS.items() if effect.is_held_out}
    heard, all_heard = set(), set()
    for seed in range(150):
        rng = np.random.default_rng(seed)
        heard |= {name for name, _ in draw_chain(rng, 0.6, held_out=False)}
        all_heard |= {name for name, _ in draw_chain(rng, 0.6, held_out=True)}
    assert len(kept) >= 3
    assert heard == set(EFFECTS) - kept | {"level"}
    assert all_heard == set(EFFECTS) | {"level"}


def test_about_a_third_goes_through_a_codec():
    chains = [draw_chain(np.random.default_rng(i), 0.3, held_out=False) for i in range(400)]
    share = np.mean([any(name == "codec" for name, _ in chain) for chain in chains])
    assert 0.25 < share < 0.42


def test_chain_ends_at_its_level(rng):
    out = apply_chain(tone(), [("hiss", {"level_db": -40.0, "tilt_db": -6.0}),
                               ("level", {"level_db": -25.0})], rng)  # fmt: skip
    assert 20 * np.log10(rms(out)) == pytest.approx(-25, abs=0.01)


def test_silence_stays_finite(rng):
    silent = np.zeros(SAMPLE_RATE, np.float32)
    for effect in EFFECTS.values():
        assert np.isfinite(effect.apply(silent, effect.draw(rng), rng)).all()
