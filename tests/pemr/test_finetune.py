import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pemr.embed import cover_embedder
from pemr.errors import CheckpointError, TrainingError
from pemr.model.checkpoint import Checkpoint, load, save
from pemr.model.cover import build_model, load_shipped
from pemr.model.loss import agreement, clique_loss
from pemr.presets import cover, paper
from pemr.training.cliques import (
    CliqueBatches,
    read_manifest,
    usable,
)
from pemr.training.finetune import BEST, Finetuning, learning_rate
from pemr.training.labelled import embedded
from pemr.training.loop import Scored, Step, train
from pemr.training.norms import settle_norms
from pemr.training.start import SHIPPED, continuing
from tests.pemr.conftest import MACHINE, corpus, small


def asked(out, **given):
    return Finetuning(**given), out


def finetune(task_and_folder, machine, **options):
    return train(*task_and_folder, machine, **options)


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
from tests.pemr.conftest import small
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


def test_a_run_that_goes_on_does_not_start_from_its_init_again(cliques, tmp_path):
    list(finetune(asked(cliques=cliques, config=small(n_steps=1), out=tmp_path / "i"), MACHINE))

    def run(name):
        own = {"config": small(n_steps=4), "out": tmp_path / name, "init": tmp_path / "i"}
        return finetune(asked(cliques=cliques, **own), MACHINE, save_every_s=0)

    list(run("whole"))
    stopped = run("stopped")
    assert next(stopped).step == 1
    assert next(stopped).step == 2
    stopped.close()
    assert [event.step for event in run("stopped") if isinstance(event, Step)] == [3, 4]
    expected, found = (load(tmp_path / name).weights for name in ("whole", "stopped"))
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-5)
