import threading
import time

import numpy as np
import pytest

from indexer.pipeline import embed_files


@pytest.fixture
def files(tmp_path, tone):
    return [tone(tmp_path / f"{seed}.wav", seed=seed, duration_s=1.5 + seed) for seed in range(7)]


def alone(embedder, path) -> np.ndarray:
    return embedder.embed(np.concatenate([batch.segments for batch in embedder.stream(path)]))


def test_recordings_come_in_the_order_asked_whatever_their_length(fake_embedder, files):
    jobs = [(path.name, path) for path in reversed(files)]
    assert [name for name, _ in embed_files(fake_embedder, jobs)] == [name for name, _ in jobs]


def test_a_recording_is_what_it_would_be_alone(fake_embedder, files):
    for path, embedded in embed_files(fake_embedder, [(path, path) for path in files]):
        np.testing.assert_array_equal(embedded.vectors, alone(fake_embedder, path))
        assert len(embedded.spans_s) == len(embedded.vectors)
        assert embedded.spans_s[-1, 1] == embedded.duration_s
        assert embedded.chroma.shape == (12, 5 * len(embedded.vectors))


def test_segments_of_several_files_share_a_batch(fake_embedder, files, monkeypatch):
    sizes = []
    really = fake_embedder.embed

    def embed(segments):
        time.sleep(0.05)  # time enough for the readers to get ahead
        sizes.append(len(segments))
        return really(segments)

    monkeypatch.setattr(fake_embedder, "embed", embed)
    list(embed_files(fake_embedder, [(path, path) for path in files]))
    assert max(sizes) > 2  # the fake embedder never hands over more than two at once


def test_what_has_no_file_passes_through_in_its_turn(fake_embedder, files):
    jobs = [("a", None), ("b", files[0]), ("c", None)]
    found = list(embed_files(fake_embedder, jobs))
    assert [name for name, _ in found] == ["a", "b", "c"]
    assert found[0][1] is found[2][1] is None


def test_silence_has_no_vectors_but_a_length(fake_embedder, tmp_path, tone):
    path = tone(tmp_path / "silence.wav", seed=-1, duration_s=3)
    ((_, embedded),) = embed_files(fake_embedder, [(0, path)])
    assert embedded.vectors.shape == (0, 8)
    assert embedded.spans_s.shape == (0, 2)
    assert embedded.duration_s == 3


def test_a_bad_file_hands_back_its_error(fake_embedder, tmp_path, files):
    bad = tmp_path / "bad.wav"
    bad.write_text("text")
    gone = tmp_path / "gone.wav"
    jobs = [(path, path) for path in (files[0], bad, gone, files[1])]
    found = dict(embed_files(fake_embedder, jobs))
    assert isinstance(found[bad], fake_embedder.file_errors)
    assert isinstance(found[gone], FileNotFoundError)
    assert len(found[files[1]].vectors) == 3


def test_files_are_taken_only_a_little_ahead(fake_embedder, files, monkeypatch):
    monkeypatch.setattr("indexer.pipeline.n_readers", lambda: 2)
    taken = []

    def jobs():
        for number in range(50):
            taken.append(number)
            yield number, files[0]

    results = embed_files(fake_embedder, jobs())
    next(results)
    assert len(taken) <= 5
    results.close()


def test_little_waits_to_be_embedded(fake_embedder, tmp_path, tone, monkeypatch):
    """A recording of hours is cut no faster than it is embedded."""
    path = tone(tmp_path / "long.wav", duration_s=120)
    cut, embedded, ahead = [0], [0], []
    really_cut, really_embed = fake_embedder._batch, fake_embedder.embed

    def batch(samples, first):
        made = really_cut(samples, first)
        cut[0] += len(made.segments)
        return made

    def embed(segments):
        ahead.append(cut[0] - embedded[0])
        embedded[0] += len(segments)
        time.sleep(0.001)
        return really_embed(segments)

    monkeypatch.setattr(type(fake_embedder), "_batch", staticmethod(batch))
    monkeypatch.setattr(fake_embedder, "embed", embed)
    list(embed_files(fake_embedder, [(0, path)]))
    assert embedded[0] == 120
    assert max(ahead) <= 2 * 20


def test_readers_go_home_when_the_caller_leaves(fake_embedder, files):
    results = embed_files(fake_embedder, [(path, path) for path in files * 5])
    next(results)
    results.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("reader-")]
