import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pemr.config import CoverConfig
from pemr.embed import cover_embedder
from pemr.errors import CheckpointError, TrainingError
from pemr.model.checkpoint import Checkpoint, load, save
from pemr.model.cover import build_model, load_shipped
from pemr.model.loss import agreement, clique_loss
from pemr.presets import cover, paper
from pemr.training.cliques import (
    CliqueBatches,
    read_cliques,
    read_manifest,
    strength_of,
    usable,
)
from pemr.training.finetune import BEST, Finetuning, learning_rate
from pemr.training.labelled import embedded
from pemr.training.loop import Scored, Step, train
from pemr.training.machine import Machine
from pemr.training.norms import settle_norms
from pemr.training.start import SHIPPED, continuing

MACHINE = Machine(n_workers=1)


def small(**changes):
    config = cover()
    encoder = CoverConfig(n_stem=4, n_narrow=8, n_wide=8, dilations=(1,), dim=16, n_dims=8)
    recipe = {"n_steps": 6, "n_cliques": 4, "n_crops": 3, "score_every": 3, "easy": 2}
    recipe["warm_up"] = 2
    return replace(config, encoder=encoder, finetune=replace(config.finetune, **recipe | changes))


def asked(out, **given):
    return Finetuning(**given), out


def finetune(task_and_folder, machine, **options):
    return train(*task_and_folder, machine, **options)


def tune(rng, n_notes=40):
    return rng.integers(30, 60, n_notes)


def spectrogram(pitches, semitones=0, frames_a_note=5):
    """A melody as bars in a quiet room."""
    shown = np.full((84, len(pitches) * frames_a_note), 60, np.uint8)
    for place, pitch in enumerate(pitches):
        shown[pitch + semitones, place * frames_a_note : (place + 1) * frames_a_note] = 200
    return shown


def corpus(folder, rng, n_works=5, n_performances=2):
    lines = []
    for work in range(n_works):
        pitches = tune(rng)
        for index in range(n_performances):
            name = f"w{work}-{index}.npy"
            np.save(folder / name, spectrogram(pitches, semitones=3 * index))
            passage = {"kind": "tune", "start_s": 0, "end_s": 40, "start_beat": 0, "end_beat": 40}
            row = {"performance": name, "work": f"w{work}", "spectrogram": name, "source": "s"}
            row |= {"time_map": [[0, 0], [40, 40]], "passages": [passage | {"transposition": 0}]}
            lines.append(json.dumps(row))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "manifest.jsonl"


@pytest.fixture
def cliques(tmp_path, rng):
    (tmp_path / "corpus").mkdir()
    return usable(read_manifest(corpus(tmp_path / "corpus", rng)))


def test_the_clique_loss_equals_a_slow_sum_over_pairs(rng):
    vectors = torch.nn.functional.normalize(torch.tensor(rng.normal(size=(7, 5))), dim=1)
    cliques = torch.tensor([0, 0, 1, 1, 1, 2, 2])
    terms = []
    for i in range(7):
        for j in range(7):
            if i != j and cliques[i] == cliques[j]:
                pair = float(vectors[i] @ vectors[j]) / 0.1
                others = [
                    float(vectors[i] @ vectors[k]) / 0.1
                    for k in range(7)
                    if cliques[k] != cliques[i]
                ]
                terms.append(-np.log(np.exp(pair) / (np.exp(pair) + np.exp(others).sum())))
    assert clique_loss(vectors, cliques, 0.1).item() == pytest.approx(np.mean(terms))


def test_agreement_is_the_share_whose_nearest_is_of_its_clique():
    vectors = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.95, 0.05]])
    assert agreement(vectors, torch.tensor([0, 0, 1, 1])).item() == pytest.approx(0.25)


def test_crops_of_a_clique_show_the_same_beats(cliques):
    config = small(easy=0, n_crops=2)
    still = replace(config.disguise, max_stretch=1.0, jitter_s=0.0)
    batch = CliqueBatches(cliques, replace(config, disguise=still), MACHINE)(0)
    assert batch.crops.shape == (8, 84, 100)
    for one, other in zip(batch.crops[::2].numpy(), batch.crops[1::2].numpy(), strict=True):
        agreeing = max(
            np.mean(one[:-3] == np.roll(other, (-shift, late), (0, 1))[:-3])
            for shift in (-3, 0, 3)
            for late in range(-15, 16)
        )
        assert agreeing > 0.97


def test_a_batch_depends_on_its_step_alone(cliques):
    one, again = (CliqueBatches(cliques, small(), MACHINE)(4) for _ in range(2))
    assert torch.equal(one.crops, again.crops)
    assert not torch.equal(one.crops, CliqueBatches(cliques, small(), MACHINE)(5).crops)


def test_processes_share_a_batch_without_overlap(cliques):
    shares = [
        CliqueBatches(cliques, small(), Machine(n_workers=1, rank=rank, world=2))(0)
        for rank in range(2)
    ]
    first, second = (set(share.cliques.tolist()) for share in shares)
    assert len(first) == len(second) == 2
    assert not first & second


def test_a_run_killed_and_started_again_ends_where_it_would_have(cliques, tmp_path):
    def run(name):
        return asked(cliques=cliques, config=small(), out=tmp_path / name)

    whole = list(finetune(run("whole"), MACHINE, save_every_s=0))
    stopped = finetune(run("stopped"), MACHINE, save_every_s=0)
    for event in stopped:
        if event.step == 4:
            break
    stopped.close()
    rest = list(finetune(run("stopped"), MACHINE))
    losses = {e.step: e.loss for e in whole if isinstance(e, Step)}
    for event in rest:
        if isinstance(event, Step):
            assert event.loss == pytest.approx(losses[event.step], rel=1e-4)
    expected, found = (load(tmp_path / name).weights for name in ("whole", "stopped"))
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-5)


def test_the_best_score_is_kept_and_a_stale_one_ends_the_run(cliques, tmp_path):
    scores = iter([0.5, 0.9, 0.3, 0.2, 0.1])
    config = small(n_steps=50, score_every=2, patience=2)
    run = asked(cliques=cliques, config=config, out=tmp_path / "c", score=lambda _: next(scores))
    events = list(finetune(run, MACHINE))
    scored = [event for event in events if isinstance(event, Scored)]
    assert [event.score for event in scored] == [0.5, 0.9, 0.3, 0.2]
    assert [event.is_best for event in scored] == [True, True, False, False]
    assert load(tmp_path / "c" / BEST).step == 4
    assert not list(finetune(run, MACHINE))


def test_it_learns_to_tell_a_few_works_apart(cliques, tmp_path):
    config = small(n_steps=40, learning_rate=1e-2, score_every=40, n_cliques=5, easy=0)
    plain = replace(config.disguise, mix=0.0, mask=0.0, max_noise_db=0.0, max_eq_db=0.0)
    run = asked(cliques=cliques, config=replace(config, disguise=plain), out=tmp_path / "c")
    losses = [event.loss for event in finetune(run, MACHINE) if isinstance(event, Step)]
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:3])


def test_fine_tuning_starts_from_the_weights_it_is_given(cliques, tmp_path):
    config = small()
    list(finetune(asked(cliques=cliques, config=config, out=tmp_path / "first"), MACHINE))
    slow = replace(config, finetune=replace(config.finetune, n_steps=1, learning_rate=1e-9))
    init = tmp_path / "first"
    list(finetune(asked(cliques=cliques, config=slow, out=tmp_path / "second", init=init), MACHINE))
    before, after = (load(tmp_path / name).weights for name in ("first", "second"))
    torch.testing.assert_close(after["encoder.last.weight"], before["encoder.last.weight"])


def test_weights_of_another_encoder_are_refused(cliques, tmp_path):
    list(finetune(asked(cliques=cliques, config=small(), out=tmp_path / "c"), MACHINE))
    run = asked(cliques=cliques, config=cover(), out=tmp_path / "d", init=tmp_path / "c")
    with pytest.raises(CheckpointError, match="another encoder"):
        next(finetune(run, MACHINE))


def test_crops_may_be_changed_further_before_they_are_embedded(cliques, tmp_path):
    shapes = []

    def augment(crops, generator):
        shapes.append(tuple(crops.shape))
        return crops + torch.randn(crops.shape, generator=generator)

    def weights_of(name, **given):
        run = asked(cliques=cliques, config=small(), out=tmp_path / name, **given)
        list(finetune(run, MACHINE))
        return torch.cat([value.flatten() for value in load(tmp_path / name).weights.values()])

    plain, noisy = weights_of("a"), weights_of("b", augment=augment)
    assert set(shapes) == {(12, 84, 100)}
    assert not torch.equal(plain, noisy)
    assert torch.equal(noisy, weights_of("c", augment=augment))


def test_another_recipe_does_not_resume(cliques, tmp_path):
    list(finetune(asked(cliques=cliques, config=small(), out=tmp_path / "c"), MACHINE))
    run = asked(cliques=cliques, config=small(seed=1), out=tmp_path / "c")
    with pytest.raises(CheckpointError, match="other settings"):
        next(finetune(run, MACHINE))


def test_a_loss_that_is_not_finite_names_the_step_and_the_files(cliques, tmp_path, monkeypatch):
    monkeypatch.setattr("pemr.training.finetune.clique_loss", lambda e, *_: e.sum() * float("nan"))
    with pytest.raises(TrainingError, match=r"step 1 is not finite, on .*w\d-\d.npy"):
        list(finetune(asked(cliques=cliques, config=small(), out=tmp_path / "c"), MACHINE))


def test_a_preset_without_cover_encoder_is_refused(cliques, tmp_path):
    with pytest.raises(ValueError, match="no cover encoder"):
        next(finetune(asked(cliques=cliques, config=paper(), out=tmp_path / "c"), MACHINE))


def test_too_few_cliques_are_refused_and_cliques_of_one_left_out(tmp_path, rng, caplog):
    performances = read_manifest(corpus(tmp_path, rng, n_works=5))
    assert len(usable(performances[:-1])) == 4
    assert "1 cliques of one" in caplog.text
    with pytest.raises(TrainingError, match="3 cliques have two performances"):
        usable(performances[:6])


def test_a_damaged_manifest_is_one_sentence(tmp_path):
    (tmp_path / "m.jsonl").write_text("{\n")
    with pytest.raises(TrainingError, match="no manifest of a corpus"):
        read_manifest(tmp_path / "m.jsonl")


def test_features_of_another_front_end_are_refused(tmp_path, rng):
    manifest = corpus(tmp_path, rng)
    np.save(tmp_path / "w0-0.npy", np.zeros((128, 50), np.float32))
    with pytest.raises(TrainingError, match="not a compact spectrogram"):
        read_manifest(manifest)


def test_a_users_own_cliques_are_read_from_a_table(tmp_path, rng, caplog):
    corpus(tmp_path, rng)
    rows = [f"w{work}-{index}.npy,{work}" for work in range(4) for index in range(2)]
    (tmp_path / "c.csv").write_text("\n".join(["path,clique", *rows, "absent.mp3,4"]) + "\n")
    found = read_cliques(tmp_path / "c.csv", tmp_path / "cache", 1)
    assert [performance.clique for performance in found] == list("00112233")
    assert "absent.mp3 is left out" in caplog.text


def test_a_table_without_its_columns_is_refused(tmp_path):
    (tmp_path / "c.csv").write_text("file,work\na,b\n")
    with pytest.raises(TrainingError, match="columns path and clique"):
        read_cliques(tmp_path / "c.csv", tmp_path / "cache", 1)


def test_performances_are_embedded_by_segments(cliques, tmp_path):
    seen = []
    config = small(n_steps=1, score_every=1)

    def score(embedder):
        members = [member for clique in cliques.values() for member in clique]
        seen.extend(embedded(embedder, members))
        return 0.0

    list(finetune(asked(cliques=cliques, config=config, out=tmp_path / "c", score=score), MACHINE))
    assert [vectors.shape for vectors in seen] == [(3, 8)] * 10
    np.testing.assert_allclose(np.linalg.norm(np.concatenate(seen), axis=1), 1, rtol=1e-5)


def test_learning_rate_rises_then_falls():
    config = small(n_steps=100, warm_up=10, learning_rate=1.0)
    rates = [learning_rate(step, config) for step in range(100)]
    assert np.argmax(rates) == 9
    assert rates[-1] < 0.05
    assert (np.diff(rates[9:]) < 0).all()


def test_the_disguise_grows_while_the_task_is_easy():
    config = small(easy=10)
    assert [strength_of(step, config) for step in (0, 5, 10, 99)] == [0.0, 0.5, 1.0, 1.0]


def test_cliques_with_one_performance_twice_get_fewer_while_it_is_easy(cliques):
    config = small(easy=1000, n_crops=2)

    def n_twice(step):
        paths = CliqueBatches(cliques, config, MACHINE)(step).paths
        return sum(one == other for one, other in zip(paths[::2], paths[1::2], strict=True))

    counts = [sum(n_twice(start + k) for k in range(10)) for start in (0, 500, 1000)]
    assert counts[0] >= 38
    assert 10 <= counts[1] <= 30
    assert counts[2] == 0


def test_fine_tuning_may_start_from_the_shipped_weights(cliques, tmp_path):
    recipe = replace(cover().finetune, n_steps=1, n_cliques=4, learning_rate=1e-9)
    config = replace(cover(), finetune=recipe)
    with pytest.raises(CheckpointError, match="another encoder than preset 'cover'"):
        list(finetune(asked(cliques=cliques, config=config, out=tmp_path, init=SHIPPED), MACHINE))
    config = continuing(config, SHIPPED)
    run = asked(cliques=cliques, config=config, out=tmp_path / "c", init=SHIPPED)
    list(finetune(run, MACHINE))
    found = load(tmp_path / "c").weights["encoder.first.last.weight"]
    torch.testing.assert_close(found, load_shipped("cover").encoder.first.last.weight.detach())


def test_the_best_has_the_batch_statistics_of_unlabelled_recordings(cliques, tmp_path):
    config = small(n_steps=2, score_every=2)
    unlabelled = [members[0].recording for members in cliques.values()]

    def best(name, **given):
        run = asked(cliques=cliques, config=config, out=tmp_path / name, **given)
        list(finetune(run, MACHINE))
        return load(tmp_path / name / BEST).weights, load(tmp_path / name).weights

    plain, _ = best("plain")
    settled, kept = best("settled", unlabelled=unlabelled)
    mean = "encoder.stem_norm.running_mean"
    torch.testing.assert_close(kept[mean], plain[mean])
    assert not torch.allclose(settled[mean], plain[mean])
    model = build_model(config)
    model.load_state_dict(plain)
    settle_norms(model, unlabelled, config, MACHINE)
    torch.testing.assert_close(settled[mean], model.state_dict()[mean])


def test_a_finished_run_goes_on_when_it_gets_more_steps(cliques, tmp_path):
    def run(n_steps, **changes):
        return asked(cliques=cliques, config=small(n_steps=n_steps, **changes), out=tmp_path / "c")

    list(finetune(run(3), MACHINE))
    assert not list(finetune(run(3), MACHINE))
    more = list(finetune(run(6), MACHINE))
    assert [event.step for event in more if isinstance(event, Step)] == [4, 5, 6]
    assert load(tmp_path / "c").step == 6


def test_a_stale_run_goes_on_when_it_gets_more_patience(cliques, tmp_path):
    def run(patience):
        config = small(n_steps=10, score_every=1, patience=patience)
        return asked(cliques=cliques, config=config, out=tmp_path / "c", score=lambda _: 0.5)

    assert max(event.step for event in finetune(run(1), MACHINE)) == 2
    assert max(event.step for event in finetune(run(3), MACHINE)) == 4


def test_no_crop_for_whitening_is_ever_trained_on(cliques, tmp_path, monkeypatch):
    seen = []
    make = CliqueBatches.__call__

    def noted(self, step):
        seen.append(step)
        return make(self, step)

    monkeypatch.setattr(CliqueBatches, "__call__", noted)
    list(finetune(asked(cliques=cliques, config=small(), out=tmp_path / "c"), MACHINE))
    assert sorted(step for step in seen if step < 10**6) == list(range(6))
    assert max(seen) > 10**6  # no run is lengthened as far as that


TWO_PROCESSES = """
import os
import sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_finetune import small
from pemr.training.cliques import read_manifest, usable
from pemr.training.finetune import Finetuning
from pemr.training.loop import train
from pemr.training.machine import find_machine
root, scores = Path(sys.argv[1]), iter([0.5, 0.9, 0.3, 0.2])
machine = replace(find_machine("cpu", 1), is_mixed=False)
run = Finetuning(
    cliques=usable(read_manifest(root / "corpus" / "manifest.jsonl")),
    config=small(n_steps=50, score_every=2, patience=2),
    score=lambda _: next(scores) if machine.is_first else 1 / 0,
)
assert [event.step for event in train(run, root / "c", machine)][-1] == 8 and machine.world == 2
os._exit(0)  # how torch takes itself down is not what is tested
"""


@pytest.mark.slow
def test_two_processes_end_together_when_the_score_is_stale(cliques, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(TWO_PROCESSES)
    command = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=29518"]
    done = subprocess.run(
        [sys.executable, *command, str(script), str(tmp_path), str(Path(__file__).parent)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "c").step == 8
    assert load(tmp_path / "c" / BEST).step == 4


LOWER = {"stem.weight", "stem_norm.weight", "stem_norm.bias"}
LOWER |= {f"early.{name}" for name in ("around.weight", "along.weight", "norm.weight", "norm.bias")}


@pytest.mark.parametrize("kept", ["lower", "all"])
def test_of_a_pretraining_the_layers_that_the_recipe_keeps_are_taken(cliques, tmp_path, kept):
    config, source = small(kept=kept), build_model(small())
    given = {f"encoder.{key}": value + 1 for key, value in source.encoder.state_dict().items()}
    save(tmp_path / "p", Checkpoint(config=config, step=1, weights=given))
    model = build_model(config)
    before = {name: value.clone() for name, value in model.encoder.named_parameters()}
    Finetuning(cliques=cliques, config=config, init=tmp_path / "p").start(model)
    assert before.keys() > LOWER
    for name, value in model.encoder.named_parameters():
        is_taken = kept == "all" or name in LOWER
        assert torch.equal(value, given[f"encoder.{name}"] if is_taken else before[name]), name
    assert not model.encoder.stem_norm.running_mean.any()  # no statistics of masked views


def test_a_model_is_trained_on_disguised_crops(cliques):
    task, seen = Finetuning(cliques=cliques, config=small(easy=0)), []
    model = build_model(small())
    model.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    batch = task.batches(MACHINE)(0)
    task.losses(model, batch, 0, MACHINE)
    assert not any(torch.equal(one, crop) for one, crop in zip(seen[0], batch.crops, strict=True))


def test_what_is_scored_and_kept_is_whitened(cliques):
    given = {}
    task = Finetuning(cliques=cliques, config=small(), score=lambda e: given.update(e=e) or 0.5)
    model = build_model(small()).eval()
    score, judged = task.judge(model, 3, MACHINE)
    assert score == 0.5
    assert not torch.allclose(judged.head.project.weight, model.head.project.weight)
    member = next(iter(cliques.values()))[0]
    (scored,) = embedded(given["e"], [member])
    (kept,) = embedded(cover_embedder(judged, "cpu"), [member])
    np.testing.assert_array_equal(scored, kept)


def test_gradients_are_clipped(cliques, tmp_path, monkeypatch):
    norms = []
    step = torch.optim.AdamW.step

    def noted(self, *given):
        grads = [p.grad.norm() for group in self.param_groups for p in group["params"]]
        norms.append(float(torch.stack(grads).norm()))
        return step(self, *given)

    monkeypatch.setattr(torch.optim.AdamW, "step", noted)
    monkeypatch.setattr(
        "pemr.training.finetune.clique_loss", lambda *given: 1e4 * clique_loss(*given)
    )
    list(finetune(asked(cliques=cliques, config=small(n_steps=1), out=tmp_path / "c"), MACHINE))
    assert norms == [pytest.approx(5.0, rel=1e-3)]


def test_crops_show_the_harmony_of_the_frames_that_they_show(tmp_path, rng):
    manifest = corpus(tmp_path, rng)
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    for row in rows[1:]:  # the first has none
        stored = np.load(tmp_path / row["spectrogram"])
        places = np.arange(stored.shape[1], dtype=np.uint8)
        stored[0], row["harmony"] = places, f"h-{row['spectrogram']}"
        np.save(tmp_path / row["spectrogram"], stored)
        np.save(tmp_path / row["harmony"], np.tile(places, (36, 1)))
    manifest.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    config = small(easy=0)
    config = replace(config, encoder=replace(config.encoder, n_harmony=2))
    batch = CliqueBatches(usable(read_manifest(manifest)), config, MACHINE)(3)
    shown, told = batch.crops[:, 0], batch.crops[:, 84:]
    assert batch.crops.shape[1] == 120
    is_known = told.any(1).any(1)
    assert is_known.sum() > len(is_known) / 2
    bytes_seen = (shown[is_known] + 100) / 100 * 255
    torch.testing.assert_close(told[is_known, 5] * 255, bytes_seen, atol=0.01, rtol=0)


def test_an_encoder_learns_from_harmony_alone(tmp_path, rng):
    manifest = corpus(tmp_path, rng)
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    for row in rows:
        row["harmony"] = f"h-{row['spectrogram']}"
        told = np.zeros((36, 200), np.uint8)
        told[int(row["work"][1:]) * 2, ::2] = 255
        np.save(tmp_path / row["harmony"], told)
        np.save(tmp_path / row["spectrogram"], np.full((84, 200), 60, np.uint8))
    manifest.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    config = small(n_steps=3, score_every=3)
    config = replace(config, encoder=replace(config.encoder, n_harmony=2))
    kept = {}
    task = Finetuning(cliques=usable(read_manifest(manifest)), config=config)
    for told in train(task, tmp_path / "c", MACHINE):
        kept[type(told).__name__] = told
    before = build_model(config).encoder.harmony_stem.weight
    after = load(tmp_path / "c").weights["encoder.harmony_stem.weight"]
    assert kept["Scored"]
    assert not torch.equal(before, after)
