"""Configurations: bounds, presets, and the way to JSON and back."""

import json
from dataclasses import FrozenInstanceError, replace

import pytest

from pemr.config import (
    CoverConfig,
    MaskConfig,
    MelConfig,
    PretrainConfig,
    from_json,
    model_from_json,
    to_json,
)
from pemr.errors import UnknownPresetError
from pemr.presets import PRESETS, cover, named, paper


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_json(name):
    config = PRESETS[name]()
    assert config.preset == name
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


def test_paper_is_the_paper():
    config = paper()
    assert (config.mask.ratio, config.mask.n_layers, config.mask.n_heads) == (0.1, 3, 3)
    assert (config.mask.d_key, config.mask.d_feedforward, config.mask.dropout) == (128, 2048, 0.1)
    weights = config.loss
    assert (weights.off_diagonal, weights.negative, weights.prediction) == (0.005, 0.005, 0.01)
    assert (config.predictor.huber_delta, config.predictor.select) == (0.1, 0.15)
    assert (weights.d_hidden, weights.d_projection, config.predictor.d_hidden) == (512, 256, 512)
    recipe = config.pretrain
    assert (recipe.batch_size, recipe.learning_rate, recipe.seed) == (48, 3e-4, 42)
    assert (recipe.n_steps, recipe.n_epochs) == (0, 300)
    assert (config.front_end.sample_rate, config.front_end.segment_length) == (22_050, 3**10)


def test_the_first_upload_differs_as_its_reference_says():
    config = PRESETS["paper-2021"]()
    assert config.front_end.sample_rate == 16_000
    assert (config.view.reverb, config.view.pitch, config.loss.prediction) == (0.0, 0.6, 0.005)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: MaskConfig(ratio=0.0), r"MaskConfig.ratio is 0.0, but it must be between 0 and 1"),
        (lambda: PretrainConfig(batch_size=1), r"batch_size is 1.*at least 2"),
        (lambda: MelConfig(segment_length=10), r"segment_length is 10"),
        (lambda: replace(paper().view, reverb=1.5), r"reverb is 1.5"),
    ],
    ids=["ratio", "batch", "crop", "probability"],
)
def test_a_value_out_of_bounds_names_field_value_and_bound(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda stored: stored.pop("mask"),
        lambda stored: stored.update(surprise=1),
        lambda stored: stored["mask"].pop("ratio"),
        lambda stored: stored["encoder"].update(kind="no such"),
        lambda stored: stored.update(loss=3),
    ],
    ids=["missing part", "unknown part", "missing field", "unknown kind", "not a part"],
)
def test_reading_never_guesses(spoil):
    stored = json.loads(json.dumps(to_json(paper())))
    spoil(stored)
    with pytest.raises(ValueError, match=r"fields|kind"):
        from_json(stored)


def test_a_config_is_frozen():
    with pytest.raises(FrozenInstanceError):
        paper().preset = "other"


def test_a_preset_is_found_by_name_and_changed_only_where_asked():
    assert named("paper") == paper()
    changed = named("paper", batch_size=8, seed=1)
    assert (changed.pretrain.batch_size, changed.pretrain.seed) == (8, 1)
    assert replace(changed, pretrain=paper().pretrain) == paper()


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(UnknownPresetError, match="no preset is called 'huge'; there are: paper,"):
        named("huge")


def test_a_model_is_read_whatever_the_training_was():
    stored = json.loads(json.dumps(to_json(cover())))
    expected = model_from_json(stored)
    assert expected.encoder == cover().encoder
    assert expected.front_end == cover().front_end
    del stored["disguise"], stored["pretrain"]["n_steps"]
    stored["finetune"] = {"a later field": 1}
    stored["a later part"] = {}
    assert model_from_json(stored) == expected


def test_a_field_that_an_old_card_lacks_has_its_default():
    stored = json.loads(json.dumps(to_json(cover())))
    del stored["encoder"]["n_dims"]
    assert model_from_json(stored).encoder.n_dims == CoverConfig().n_dims


@pytest.mark.parametrize(
    "spoil",
    [
        lambda stored: stored.pop("encoder"),
        lambda stored: stored.pop("front_end"),
        lambda stored: stored["encoder"].update(surprise=1),
        lambda stored: stored["encoder"].pop("kind"),
        lambda stored: stored.update(encoder=3),
    ],
    ids=["no encoder", "no front end", "unknown field", "no kind", "not a part"],
)
def test_reading_a_model_never_guesses(spoil):
    stored = json.loads(json.dumps(to_json(cover())))
    spoil(stored)
    with pytest.raises(ValueError, match=r"fields|kind"):
        model_from_json(stored)


def test_a_mask_hides_some_frames_and_not_all():
    for ratio in (0.0, 1.0):
        with pytest.raises(ValueError, match=r"MaskConfig.ratio"):
            MaskConfig(ratio=ratio)
    with pytest.raises(ValueError, match="hides one of 100 frames or more"):
        replace(cover(), mask=MaskConfig(ratio=0.009))
