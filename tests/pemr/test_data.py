"""Training data: what a folder gives, and what a step sees."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pemr.config import (
    Config,
    DisguiseConfig,
    FcnConfig,
    SemitoneConfig,
    SpectrogramViewConfig,
)
from pemr.errors import TrainingError
from pemr.presets import cover, tiny
from pemr.training import data as module
from pemr.training.data import (
    Prepared,
    Rejected,
    TwoViews,
    ahead,
    fingerprint,
    prepare,
)
from pemr.training.machine import Machine


@pytest.fixture
def config():
    return replace(tiny(), pretrain=replace(tiny().pretrain, batch_size=4))


@pytest.fixture
def semitones():
    """A run on compact spectrograms."""
    return Config(
        preset="semitones",
        front_end=SemitoneConfig(n_frames=20),
        view=SpectrogramViewConfig(),
        encoder=FcnConfig(channels=(4,), pools=((4, 4),)),
        pretrain=replace(tiny().pretrain, batch_size=2),
    )


@pytest.fixture
def folder(tmp_path, tone):
    for i in range(6):
        tone(tmp_path / "music" / f"{i}.wav", seed=i, duration_s=3.0, sample_rate=4000)
    return tmp_path / "music"


@pytest.fixture
def recordings(folder, tmp_path, config):
    return list(prepare(folder, config.front_end, tmp_path / "cache"))


def test_every_file_is_told_in_order(folder, tmp_path, tone, config):
    tone(folder / "short.wav", duration_s=0.5)
    (folder / "torn.mp3").write_bytes(b"no sound")
    (folder / "notes.txt").write_text("not audio")
    told = list(prepare(folder, config.front_end, tmp_path / "cache"))
    assert [event.path.name for event in told] == [
        *(f"{i}.wav" for i in range(6)),
        "short.wav",
        "torn.mp3",
    ]
    assert all(isinstance(event, Prepared) for event in told[:6])
    assert told[0].length == 12_000
    assert told[6].reason == "shorter than one crop"
    assert isinstance(told[7], Rejected)


def test_a_recording_is_decoded_once(folder, tmp_path, config, monkeypatch):
    first = list(prepare(folder, config.front_end, tmp_path / "cache"))
    monkeypatch.setattr(module.crops, "decoded", lambda *_: pytest.fail("decoded again"))
    assert list(prepare(folder, config.front_end, tmp_path / "cache")) == first


def test_a_changed_recording_is_decoded_again(folder, tmp_path, tone, config):
    first = next(prepare(folder, config.front_end, tmp_path / "cache"))
    tone(first.path, seed=9, duration_s=4.0, sample_rate=4000)
    second = next(prepare(folder, config.front_end, tmp_path / "cache"))
    assert (first.length, second.length) == (12_000, 16_000)


def test_a_full_disk_is_said_once_and_plainly(folder, tmp_path, config, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.np, "save", full)
    with pytest.raises(TrainingError, match=r"cannot write to the cache.*No space"):
        list(prepare(folder, config.front_end, tmp_path / "cache"))
    assert list((tmp_path / "cache").iterdir()) == []


def test_compact_spectrograms_are_taken_as_they_are(tmp_path, semitones):
    np.save(tmp_path / "a.npy", np.full((84, 30), 9, np.uint8))
    np.save(tmp_path / "b.npy", np.zeros((12, 30), np.uint8))
    first, second = prepare(tmp_path, semitones.front_end, tmp_path / "cache")
    assert (first.cached, first.length) == (tmp_path / "a.npy", 30)
    assert second.reason == "not a compact spectrogram"


def test_a_step_is_a_function_of_seed_step_and_item(recordings, config):
    first, second = (TwoViews(recordings, config, Machine()) for _ in range(2))
    for step in (0, 5):
        a, b = first(step), second(step)
        assert a.paths == b.paths
        assert torch.equal(a.first, b.first)
        assert torch.equal(a.second, b.second)
    assert not torch.equal(first(0).first, first(1).first)
    assert not torch.equal(first(0).first, first(0).second)


def test_views_are_log_mel_of_the_preset_s_shape(recordings, config):
    views = TwoViews(recordings, config, Machine())(0)
    assert views.first.shape == views.second.shape == (4, *config.front_end.shape)
    assert views.first.min() >= -100.0


def test_an_epoch_sees_each_recording_at_most_once(recordings, config):
    maker = TwoViews(
        recordings, replace(config, pretrain=replace(config.pretrain, batch_size=3)), Machine()
    )
    for epoch in range(3):
        seen = [path for step in (2 * epoch, 2 * epoch + 1) for path in maker(step).paths]
        assert sorted(seen) == sorted(recording.path for recording in recordings)


def test_processes_share_a_batch_without_changing_it(recordings, config):
    whole = TwoViews(recordings, config, Machine())(3)
    shares = [TwoViews(recordings, config, Machine(rank=r, world=2))(3) for r in (0, 1)]
    for index, path in enumerate(whole.paths):
        share = shares[index % 2]
        assert share.paths[index // 2] == path
        assert torch.equal(share.first[index // 2], whole.first[index])


def test_too_few_recordings_are_refused(recordings, config):
    with pytest.raises(TrainingError, match=r"3 usable recordings do not fill one batch of 4"):
        TwoViews(recordings[:3], config, Machine())


def test_an_uneven_share_is_refused(recordings, config):
    with pytest.raises(TrainingError, match="cannot be shared by 3 processes"):
        TwoViews(recordings, config, Machine(world=3))


def test_the_fingerprint_changes_with_the_data(recordings):
    assert fingerprint(recordings) == fingerprint(list(recordings))
    assert fingerprint(recordings) != fingerprint(recordings[1:])


def test_spectrogram_views_keep_their_shape_at_any_tempo(tmp_path, semitones, rng):
    for i in range(3):
        stored = rng.integers(0, 256, (84, 20 + 5 * i)).astype(np.uint8)
        np.save(tmp_path / f"{i}.npy", stored)
    recordings = list(prepare(tmp_path, semitones.front_end, tmp_path / "cache"))
    maker = TwoViews(recordings, semitones, Machine())
    for step in range(4):
        views = maker(step)
        assert views.first.shape == (2, 84, 20)
        assert views.first.isfinite().all()


def melody(rng, n_frames=400):
    """One loud bin a frame, another every five frames, in a quiet room."""
    stored = np.full((84, n_frames), 40, np.uint8)
    stored[np.repeat(rng.integers(20, 64, n_frames // 5), 5), np.arange(n_frames)] = 220
    return stored


def test_both_views_show_one_moment_each_in_its_own_disguise(tmp_path, semitones, rng):
    np.save(tmp_path / "a.npy", melody(rng))
    np.save(tmp_path / "b.npy", melody(rng))
    plain = DisguiseConfig(
        max_roll=0, max_stretch=1.0, max_eq_db=0.0, max_noise_db=0.0, floor_db=(80.0, 80.0),
        max_gamma=0.0, mask=0.0,
    )  # fmt: skip
    config = replace(semitones, disguise=plain, view=SpectrogramViewConfig(max_apart_s=0.0))
    recordings = list(prepare(tmp_path, config.front_end, tmp_path / "cache"))
    for step in range(3):
        views = TwoViews(recordings, config, Machine())(step)
        assert torch.equal(views.first.argmax(1), views.second.argmax(1))
        assert not torch.equal(views.first, views.second)  # the floor's own noise
    apart = replace(config, view=SpectrogramViewConfig(max_apart_s=8.0))
    views = TwoViews(recordings, apart, Machine())(0)
    assert not torch.equal(views.first.argmax(1), views.second.argmax(1))


def test_things_are_made_in_order_and_at_most_a_few_ahead():
    made = []

    def make(index):
        made.append(index)
        return index * index

    stream = ahead(make, range(3, 20), 2)
    first, waited_s = next(stream)
    assert (first, waited_s >= 0) == (9, True)
    assert len(made) <= 5
    assert [thing for thing, _ in stream] == [i * i for i in range(4, 20)]


def test_an_error_in_a_thread_reaches_the_caller():
    def make(index):
        raise ValueError(f"thing {index}")

    with pytest.raises(ValueError, match="thing 0"):
        next(ahead(make, range(3), 2))


def test_both_views_of_a_spectrogram_are_disguised(tmp_path, semitones, rng):
    for i in range(4):
        np.save(tmp_path / f"{i}.npy", rng.integers(100, 200, (84, 60)).astype(np.uint8))
    recordings = list(prepare(tmp_path, semitones.front_end, tmp_path / "cache"))
    still = replace(semitones.disguise, max_stretch=1.0)
    config = replace(semitones, disguise=still, view=SpectrogramViewConfig(max_apart_s=0.0))
    views = TwoViews(recordings, config, Machine())(0)
    for first, second in zip(views.first, views.second, strict=True):
        assert not torch.equal(first, second)


def test_packed_recordings_are_taken_and_silent_ones_left_out(tmp_path):
    sounds = np.full((84, 120), 9, np.uint8)
    for name, spectrogram in (("heard", sounds), ("silent", 0 * sounds)):
        np.savez(tmp_path / f"{name}.npz", spectrogram=spectrogram, duration_s=24.0)
    (tmp_path / "torn.npz").write_bytes(b"PK")
    heard, silent, torn = prepare(tmp_path, cover().front_end, tmp_path / "cache")
    np.testing.assert_array_equal(np.load(heard.cached), sounds)
    assert silent.reason == "silent from end to end"
    assert torn.path.name == "torn.npz"
    assert torn.reason


def test_views_hold_one_recording_alone_fully_disguised(tmp_path, semitones, rng, monkeypatch):
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", melody(rng))
    recordings = list(prepare(tmp_path, semitones.front_end, tmp_path / "cache"))
    asked = []
    monkeypatch.setattr(
        "pemr.training.data.disguise", lambda crops, *given: asked.append(given) or crops
    )
    TwoViews(recordings, semitones, Machine())(0)
    assert [(config.mix, strength) for config, strength, _ in asked] == [(0.0, 1.0)] * 2
    assert asked[0][0].max_roll == semitones.disguise.max_roll


def test_views_are_played_at_tempos_of_their_own(tmp_path, semitones, monkeypatch):
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", np.tile(np.arange(200, dtype=np.uint8), (84, 1)) + 20)
    recordings = list(prepare(tmp_path, semitones.front_end, tmp_path / "cache"))
    monkeypatch.setattr("pemr.training.data.disguise", lambda crops, *_: crops)
    maker = TwoViews(recordings, semitones, Machine())
    spans = [
        float(view.amax() - view.amin())
        for step in range(8)
        for views in [maker(step)]
        for both in (views.first, views.second)
        for view in both
    ]
    assert max(spans) > 1.5 * min(spans)  # of at most 1.45 squared


def test_each_epoch_has_an_order_of_its_own(recordings, config):
    maker = TwoViews(recordings, config, Machine())
    n_steps = len(recordings) // config.pretrain.batch_size
    orders = [
        [p for step in range(n_steps) for p in maker(e * n_steps + step).paths] for e in (0, 1, 2)
    ]
    assert not orders[0] == orders[1] == orders[2]
