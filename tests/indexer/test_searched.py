"""What is searched, against one product of everything with everything."""

import numpy as np
import pytest

from indexer import repair, searched
from indexer.exact import gathered
from indexer.hubs import directions, neighbours

DIM = 8


def made(tracks):
    return repair.rebuilt(lambda: iter(tracks), len(tracks), DIM)


def changed(tracks, more):
    """Hold all tracks, of which some came and went since the file was made."""
    held = made([*tracks[:20], *more])
    held.remove([id_ for id_, _ in more])
    held.remove([tracks[3][0]])
    for id_, vectors in (tracks[3], *tracks[20:]):
        held.add(id_, vectors)
    return held


@pytest.fixture
def tracks(drawn):
    return drawn(40)


@pytest.fixture(params=["from nothing", "with changes"])
def held(request, tracks, drawn):
    return made(tracks) if request.param == "from nothing" else changed(tracks, drawn(5, first=999))


def best(tracks, versions, n_tracks, mean_length):
    scores = gathered(tracks, DIM).scores(versions, mean_length)
    order = np.argsort(-scores, kind="stable")[:n_tracks]
    return sorted(tracks[place][0] for place in order)


def test_the_nearest_are_those_of_one_product(held, tracks, unit):
    versions = [unit(3, DIM), unit(0, DIM), unit(4, DIM)]
    mean_length = np.mean([len(vectors) for _, vectors in tracks])
    assert held.mean_length == pytest.approx(mean_length)
    found = held.nearest(versions, 7)
    assert found.tolist() == best(tracks, versions, 7, mean_length)


def test_only_some_tracks_and_without_others(held, tracks, unit):
    ids = np.array([id_ for id_, _ in tracks])
    asked, mean_length = [unit(2, DIM)], held.mean_length
    some = [tracks[place] for place in (2, 3, 8, 21, 30, 39)]
    only = np.array([id_ for id_, _ in some])[::-1]
    assert held.nearest(asked, 3, only=only).tolist() == best(some, asked, 3, mean_length)
    rest = [track for track in tracks if track not in some]
    assert held.nearest(asked, 9, without=only).tolist() == best(rest, asked, 9, mean_length)
    assert held.nearest(asked, 9, without=ids).tolist() == []
    assert len(held.nearest(asked, 99)) == len(held) == 40


def test_hubness_is_that_of_all_tracks(held, tracks):
    ids, rows = held.directions()
    assert ids.tolist() == sorted(id_ for id_, _ in tracks)
    expected = neighbours(ids, rows, ids, rows).hubness()
    order = np.array([7, 3, 30, 0, 25])
    np.testing.assert_allclose(held.neighbours(ids[order]).hubness(), expected[order], rtol=1e-5)


def test_means_are_the_directions_of_the_tracks(held, tracks):
    ids, rows = held.directions()
    expected = {id_: vectors.mean(axis=0) for id_, vectors in tracks}
    np.testing.assert_allclose(
        rows, directions(np.stack([expected[id_] for id_ in ids.tolist()])), atol=1e-6
    )


def test_a_track_that_is_stored_again_counts_once(held, tracks, unit):
    again = unit(3, DIM)
    held.add(tracks[5][0], again)
    held.add(tracks[30][0], unit(0, DIM))  # silent now
    assert len(held) == 39
    assert held.nearest([again], 1).tolist() == [tracks[5][0]]
    assert held.n_segments == sum(len(vectors) for _, vectors in held.tracks())
    assert [id_ for id_, _ in held.tracks()] == held.means()[0].tolist()


def test_a_long_recording_gains_by_the_segments_that_it_shares(held, tracks, unit):
    shared = [tracks[4], tracks[33]]
    long = np.concatenate([unit(30, DIM), *(vectors for _, vectors in shared)])
    level = 0.999
    assert held.gaining([long, unit(0, DIM)], 9, level).tolist() == [id_ for id_, _ in shared]
    longest = max(shared, key=lambda track: len(track[1]))
    assert held.gaining([long], 1, level).tolist() == [longest[0]]


@pytest.fixture
def small_steps(monkeypatch):
    """Search as in a large catalog."""
    for module in (searched, repair):
        monkeypatch.setattr(module, "EXACT_LENGTH", 30)
        monkeypatch.setattr(module, "COARSE_LENGTH", 60)


@pytest.mark.parametrize("n_tracks", [50, 120], ids=["means", "quantised means"])
def test_a_large_catalog_finds_covers_in_steps(small_steps, monkeypatch, rng, drawn, n_tracks):
    tracks = drawn(n_tracks, DIM)
    monkeypatch.setattr(searched, "_N_WIDE", 500)  # about 20 of 50
    held = made(tracks)
    assert held.main.lists is not None
    assert (held.main.coarse is not None) == (n_tracks > 60)
    for id_, vectors in tracks[::7]:
        cover = vectors + 0.05 * rng.standard_normal(vectors.shape).astype(np.float32)
        assert id_ in held.nearest([cover], 3)
        assert id_ not in held.nearest([cover], 3, without=np.array([id_]))
        np.testing.assert_array_equal(
            held.nearest([cover], 3, is_exact=True),
            best(list(held.tracks()), [cover], 3, held.mean_length),  # as half bytes keep them
        )


def test_a_long_recording_gains_in_steps_too(small_steps, unit, drawn):
    tracks = drawn(50)
    long = np.concatenate([unit(30, DIM), tracks[4][1], tracks[33][1]])
    assert made(tracks).gaining([long], 9, 0.97).tolist() == [tracks[4][0], tracks[33][0]]


def test_a_medley_is_found_by_one_of_its_segments(small_steps, monkeypatch, unit, rng, drawn):
    monkeypatch.setattr(searched, "_N_WIDE", 0)  # means find nothing
    asked = unit(1, DIM)
    far = unit(30, DIM) - 3 * asked
    medley = np.vstack([far / np.linalg.norm(far, axis=1, keepdims=True), asked])
    held = made([*drawn(50), (999, medley.astype(np.float32))])
    assert 999 in held.nearest([asked], 1)


class PlainLists:
    """A toy kind of vectors: every segment as it is, and one product."""

    def __init__(self, ids, vectors):
        self.ids, self.vectors = ids, vectors

    def __len__(self):
        return len(self.ids)

    @classmethod
    def trained(cls, sample, n_vectors):
        assert n_vectors >= len(sample)
        return cls(np.zeros(0, np.int64), np.zeros((0, sample.shape[1]), np.float32))

    def add(self, track_ids, vectors):
        self.ids = np.concatenate([self.ids, track_ids])
        self.vectors = np.concatenate([self.vectors, vectors])

    def remove(self, track_ids):
        kept = ~np.isin(self.ids, track_ids)
        self.ids, self.vectors = self.ids[kept], self.vectors[kept]

    def search(self, queries, n_hits, n_probes):
        assert n_probes > 0
        order = np.argsort(-(queries @ self.vectors.T), axis=1)[:, :n_hits]
        return np.unique(self.ids[order])

    def to_bytes(self):
        return np.frombuffer(self.ids.tobytes() + self.vectors.tobytes(), np.uint8)

    def write_to(self, take):
        take(self.to_bytes().tobytes())

    @classmethod
    def from_bytes(cls, stored):
        content, row = np.asarray(stored).tobytes(), 8 + 4 * DIM
        ids = np.frombuffer(content[: len(content) // row * 8], np.int64)
        return cls(ids, np.frombuffer(content[8 * len(ids) :], np.float32).reshape(-1, DIM))


def test_another_kind_of_vectors_is_one_class(tracks, unit, tmp_path, monkeypatch):
    for module in (repair, searched):
        monkeypatch.setattr(module, "EXACT_LENGTH", 10)
    monkeypatch.setattr(repair, "SegmentLists", PlainLists)
    name = repair.Name(1, 1)
    repair.write(lambda: iter(tracks), len(tracks), DIM, tmp_path, name)
    held = repair.read(tmp_path, name, DIM)
    assert isinstance(held.main.lists, PlainLists)
    assert len(held.main.lists) == held.n_segments
    held.remove([tracks[3][0]])
    held.add(999, asked := unit(3, DIM))
    left = list(held.tracks())
    assert len(left) == len(tracks)
    assert held.nearest([asked], 5).tolist() == best(left, [asked], 5, held.mean_length)
