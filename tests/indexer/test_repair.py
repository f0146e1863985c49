import numpy as np
import pytest

from indexer.repair import (
    delete_indexes,
    is_written,
    read_indexes,
    rebuild_indexes,
    track_vector,
    write_indexes,
)


@pytest.fixture
def stored(rng):
    """Three tracks of two to four segments each."""
    tracks = []
    first = 1
    for track_id, n_segments in ((4, 2), (7, 4), (9, 3)):
        vectors = rng.standard_normal((n_segments, 6)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        tracks.append((track_id, np.arange(first, first + n_segments), vectors))
        first += n_segments
    return tracks


def test_a_track_vector_is_the_direction_of_the_sum():
    vector = track_vector(np.array([[1, 0], [0, 1], [0, 3]], np.float32))
    np.testing.assert_allclose(vector, np.array([1, 2]) / np.sqrt(5), rtol=1e-6)


def test_segments_that_cancel_out_give_no_direction():
    assert track_vector(np.array([[1, 0], [-1, 0]], np.float32)).tolist() == [0, 0]


def test_rebuilding_in_small_steps_is_rebuilding_at_once(stored, monkeypatch):
    whole = rebuild_indexes(stored, 6)
    monkeypatch.setattr("indexer.repair._ROWS_AT_ONCE", 3)
    steps = rebuild_indexes(stored, 6)
    for one, other in ((whole.segments, steps.segments), (whole.tracks, steps.tracks)):
        assert one.ids.tolist() == other.ids.tolist()
        np.testing.assert_array_equal(one.vectors, other.vectors)


def test_adding_and_removing_is_rebuilding(stored):
    grown = rebuild_indexes(stored[:1], 6)
    for track in stored[1:]:
        grown.add(*track)
    grown.remove(np.array([7]), stored[1][1])
    again = rebuild_indexes([stored[0], stored[2]], 6)
    assert grown.segments.ids.tolist() == again.segments.ids.tolist()
    assert grown.tracks.ids.tolist() == again.tracks.ids.tolist()


def test_files_are_read_back_only_where_their_ids_agree(stored, tmp_path):
    write_indexes(rebuild_indexes(stored, 6), tmp_path, 5)
    segment_ids, track_ids = np.arange(1, 10), np.array([4, 7, 9])
    assert read_indexes(tmp_path, 5, 6, segment_ids, track_ids) is not None
    assert read_indexes(tmp_path, 6, 6, segment_ids, track_ids) is None
    assert read_indexes(tmp_path, 5, 7, segment_ids, track_ids) is None
    assert read_indexes(tmp_path, 5, 6, segment_ids[:-1], track_ids) is None
    assert read_indexes(tmp_path, 5, 6, segment_ids, track_ids[1:]) is None


def test_writing_a_generation_deletes_the_others(stored, tmp_path):
    indexes = rebuild_indexes(stored, 6)
    write_indexes(indexes, tmp_path, 5)
    (tmp_path / "tracks-5.faiss.part").write_bytes(b"half")
    write_indexes(indexes, tmp_path, 6)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["segments-6.faiss", "tracks-6.faiss"]
    assert is_written(tmp_path, 6)
    assert not is_written(tmp_path, 5)
    delete_indexes(tmp_path)
    assert not is_written(tmp_path, 6)
