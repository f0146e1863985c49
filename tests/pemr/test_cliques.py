import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from pemr.errors import TrainingError
from pemr.training.cliques import CliqueBatches, read_cliques, read_manifest, strength_of, usable
from pemr.training.machine import Machine
from tests.pemr.conftest import MACHINE, corpus, small


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
