"""The probe: what it learns, what it leaves alone, what it counts."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pemr.config import FcnConfig, MelConfig
from pemr.errors import TrainingError
from pemr.model.encoder import build_encoder
from pemr.presets import tiny
from pemr.training.data import Prepared
from pemr.training.machine import Machine
from pemr.training.norms import settle_norms
from pemr.training.probing import probe as probe_module
from pemr.training.probing.probe import Epoch, ProbeOptions, ProbeReport, probe
from pemr.training.probing.tagging import Clip, LabelledSet

CONFIG = replace(
    tiny(),
    front_end=MelConfig(sample_rate=4_000, filter_rate=4_000, segment_length=2_048),
    encoder=FcnConfig(channels=(4,), pools=((16, 16),)),
)
MACHINE = Machine()


@pytest.fixture
def low_and_high(tmp_path, rng):
    """Forty recordings, low tones and high ones; so easy that any encoder tells them apart."""
    clips, recordings = [], []
    time = np.arange(2 * 4000) / 4000
    for i in range(40):
        hz = rng.uniform(150, 250) * (1 + 5 * (i % 2))
        waveform = 8000 * np.sin(2 * np.pi * hz * time) + 50 * rng.standard_normal(len(time))
        cached = tmp_path / f"{i}.npy"
        np.save(cached, waveform.astype(np.int16))
        clips.append(Clip(cached, (i % 2,)))
        recordings.append(Prepared(cached, cached, len(time)))
    parts = (tuple(clips[:20]), tuple(clips[20:30]), tuple(clips[30:]))
    return LabelledSet("tones", "genres", ("low", "high"), *parts, 3), recordings


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return build_encoder(CONFIG)


def run(encoder, data, **options):
    labelled, recordings = data
    asked = ProbeOptions(**{"max_epochs": 30, **options})
    return list(probe(encoder, CONFIG, labelled, recordings, MACHINE, asked))


@pytest.mark.parametrize("fine_tune", [False, True], ids=["linear", "fine-tune"])
def test_low_is_told_from_high(encoder, low_and_high, fine_tune):
    *epochs, report = run(encoder, low_and_high, fine_tune=fine_tune)
    assert all(isinstance(epoch, Epoch) for epoch in epochs)
    assert [epoch.epoch for epoch in epochs] == list(range(1, len(epochs) + 1))
    assert report.n_epochs == len(epochs)
    assert epochs[-1].valid_loss < epochs[0].valid_loss
    assert epochs[-1].train_loss < epochs[0].train_loss
    assert report.accuracy == 1.0
    assert report.roc_auc is report.pr_auc is None


def test_tags_are_scored_by_both_areas(encoder, low_and_high):
    labelled, recordings = low_and_high
    report = run(encoder, (replace(labelled, task="tags"), recordings))[-1]
    assert report.roc_auc == report.pr_auc == 1.0
    assert report.accuracy is None


def test_a_report_counts_what_was_used(encoder, low_and_high):
    labelled, recordings = low_and_high
    some = [r for r in recordings if r.path != labelled.test[0].path]
    report = run(encoder, (labelled, some), label_share=0.5, seed=7)[-1]
    assert isinstance(report, ProbeReport)
    assert (report.n_train, report.n_valid, report.n_test) == (10, 10, 9)
    assert (report.n_missing, report.n_corrupt) == (3, 1)
    assert (report.dataset, report.method) == ("tones", "linear")
    assert (report.label_share, report.seed) == (0.5, 7)


def test_the_encoder_is_left_as_it_was(encoder, low_and_high):
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    run(encoder, low_and_high, fine_tune=True, max_epochs=1)
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_same_seed_gives_the_same_report(encoder, low_and_high):
    first, second = (run(encoder, low_and_high, max_epochs=3) for _ in range(2))
    assert first == second


def test_an_empty_part_is_said(encoder, low_and_high):
    labelled, recordings = low_and_high
    some = recordings[:30]
    with pytest.raises(TrainingError, match="no clip of the test part of tones"):
        run(encoder, (labelled, some))


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_a_share_of_labels_has_bounds(share):
    with pytest.raises(ValueError, match="label_share"):
        ProbeOptions(label_share=share)


def test_norms_settle_on_the_statistics_of_the_data(encoder, low_and_high):
    _, recordings = low_and_high
    encoder.input_norm.running_mean.fill_(1000.0)
    settle_norms(encoder, recordings, CONFIG, MACHINE)
    assert -100 < float(encoder.input_norm.running_mean) < 0
    assert encoder.input_norm.momentum == 0.1
    assert not encoder.training


def test_the_seed_picks_the_labels_and_norms_settle_on_training_clips(
    encoder, low_and_high, monkeypatch
):
    settled = []
    monkeypatch.setattr(
        "pemr.training.probing.probe.settle_norms", lambda _, clips, *__: settled.append(clips)
    )
    for seed in (1, 2):
        run(encoder, low_and_high, label_share=0.5, seed=seed, max_epochs=1)
    first, second = ({one.path for one in clips} for clips in settled)
    training = [clip.path for clip in low_and_high[0].train]
    assert first < set(training)
    assert second < set(training)
    assert first != second
    assert set(training[:10]) not in (first, second)


def test_the_model_is_chosen_on_validation_clips(encoder, low_and_high, monkeypatch):
    labelled, recordings = low_and_high
    seen = []

    def noted(model, source, targets, task):
        seen.append((len(source._recordings), len(targets)))
        return 1.0

    monkeypatch.setattr("pemr.training.probing.probe._valid_loss", noted)
    fewer = replace(labelled, test=labelled.test[:7])
    run(encoder, (fewer, recordings), fine_tune=True, max_epochs=1)
    assert seen == [(10, 10)]


def test_fine_tuning_moves_the_encoder(encoder, low_and_high, monkeypatch):
    tested = []
    predict = probe_module._predict
    monkeypatch.setattr(
        probe_module, "_predict", lambda model, *rest: tested.append(model) or predict(model, *rest)
    )
    run(encoder, low_and_high, fine_tune=True, max_epochs=2)
    before, after = encoder.stages[0][0].weight, tested[0][0].stages[0][0].weight
    assert not torch.allclose(before, after, atol=1e-5)
