import numpy as np
import pytest

from indexer import hubs, repair, searched
from indexer.mapped import Draft, opened
from indexer.repair import Name, delete_files, is_outdated, is_there, read, rebuilt

DIM = 8
NAME = Name(5, 1234)


@pytest.fixture(params=[30, 10], ids=["compared whole", "searched in steps"])
def exact_length(request, monkeypatch):
    for module in (searched, repair):
        monkeypatch.setattr(module, "EXACT_LENGTH", request.param)
    return request.param


@pytest.fixture
def tracks(drawn):
    return drawn(20)


def write(tracks, folder, name=NAME):
    repair.write(lambda: iter(tracks), len(tracks), DIM, folder, name)


def same(one, other):
    assert [id_ for id_, _ in one.tracks()] == [id_ for id_, _ in other.tracks()]
    for mine, theirs in zip(one.tracks(), other.tracks(), strict=True):
        np.testing.assert_allclose(mine[1], theirs[1], atol=1e-2)
    ids, rows = one.means()
    np.testing.assert_allclose(rows, other.means()[1], atol=1e-6)
    mine, theirs = one.neighbours(ids), other.neighbours(ids)
    np.testing.assert_allclose(mine.hubness(), theirs.hubness(), atol=2e-3)
    for _, vectors in one.tracks():
        assert set(one.nearest([vectors], 1)) == set(other.nearest([vectors], 1))


def test_a_file_read_back_is_what_was_made_in_memory(exact_length, tracks, tmp_path):
    write(tracks, tmp_path)
    same(read(tmp_path, NAME, DIM), rebuilt(lambda: iter(tracks), len(tracks), DIM))


def test_a_file_made_from_an_older_one_is_that_made_from_nothing(
    exact_length, tracks, drawn, tmp_path
):
    more = drawn(4, first=1000)
    write([*tracks[:15], *more], tmp_path)
    held = read(tmp_path, NAME, DIM)
    held.remove([id_ for id_, _ in more])
    for id_, vectors in tracks[14:]:
        held.add(id_, vectors)
    repair.write_again(held, lambda: iter(tracks), tmp_path, Name(6, 1))
    again = read(tmp_path, Name(6, 1), DIM)
    assert again.n_changed == 0
    same(again, rebuilt(lambda: iter(tracks), len(tracks), DIM))


@pytest.mark.parametrize("n_gone", [1, 2], ids=["few went", "many went"])
def test_neighbours_are_found_anew_where_many_tracks_went(
    exact_length, monkeypatch, drawn, tmp_path, n_gone
):
    tracks = drawn(25)
    write(tracks, tmp_path)
    held = read(tmp_path, NAME, DIM)
    held.remove([id_ for id_, _ in tracks[3 : 3 + n_gone]])
    asked = []

    def watched(ids, rows):
        asked.append(ids.tolist())
        return hubs.neighbours_of_all(ids, rows)

    monkeypatch.setattr(repair, "neighbours_of_all", watched)
    repair.write_again(held, held.tracks, tmp_path, Name(6, 1))
    left = [*tracks[:3], *tracks[3 + n_gone :]]
    assert asked == [[id_ for id_, _ in left]] * (n_gone > 1)
    same(read(tmp_path, Name(6, 1), DIM), rebuilt(lambda: iter(left), len(left), DIM))


@pytest.mark.parametrize(("before", "after"), [(5, 20), (20, 5), (12, 40)])
def test_a_catalog_that_outgrows_its_form_is_made_from_the_database(
    monkeypatch, drawn, tmp_path, before, after
):
    for module in (searched, repair):
        monkeypatch.setattr(module, "EXACT_LENGTH", 10)
    tracks = drawn(40)
    write(tracks[:before], tmp_path)
    held = read(tmp_path, NAME, DIM)
    held.remove([id_ for id_, _ in tracks[after:]])
    for id_, vectors in tracks[before:after]:
        held.add(id_, vectors)
    repair.write_again(held, lambda: iter(tracks[:after]), tmp_path, Name(6, 1))
    again = read(tmp_path, Name(6, 1), DIM)
    assert (len(again), again.n_learnt) == (after, after)
    assert (again.main.lists is None) == (after <= 10)


def test_a_file_counts_only_where_all_agrees(tracks, tmp_path):
    write(tracks, tmp_path)
    assert is_there(tmp_path, NAME, DIM)
    for name, dim in ((Name(6, 1234), DIM), (Name(5, 1235), DIM), (NAME, DIM + 1)):
        (tmp_path / "vectors-6.bin").write_bytes((tmp_path / "vectors-5.bin").read_bytes())
        assert read(tmp_path, name, dim) is None
        assert not is_there(tmp_path, name, dim)


@pytest.mark.parametrize("place", [0, 5000, -5000])
def test_a_flipped_bit_is_found(tracks, tmp_path, place):
    write(tracks, tmp_path)
    path = NAME.path(tmp_path)
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 4
    path.write_bytes(damaged)
    assert read(tmp_path, NAME, DIM) is None


def test_an_empty_catalog_is_written_and_read(tmp_path):
    write([], tmp_path)
    held = read(tmp_path, NAME, DIM)
    assert (len(held), held.mean_length, held.means()[1].shape) == (0, 1.0, (0, DIM))


def test_a_file_with_a_byte_for_each_value_is_of_an_older_version(exact_length, tracks, tmp_path):
    write(tracks, tmp_path)
    found = opened(NAME.path(tmp_path))
    with Draft(Name(6, 1).path(tmp_path)) as draft:
        for name, array in found.arrays.items():
            is_old = name == "values"
            draft.put(name, [np.zeros((len(array), DIM), np.int8) if is_old else array])
        draft.commit({**found.facts, "generation": 6, "token": 1})
    assert read(tmp_path, Name(6, 1), DIM) is None
    assert not is_there(tmp_path, Name(6, 1), DIM)


def test_all_other_files_are_deleted(tracks, tmp_path):
    for name in ("vectors-4.bin", "vectors-6.bin.part", "segments-3.faiss", "tracks-3.faiss"):
        (tmp_path / name).write_bytes(b"old")
    (tmp_path / "catalog.db").write_bytes(b"kept")
    write(tracks, tmp_path)
    delete_files(tmp_path, keep=NAME)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["catalog.db", "vectors-5.bin"]
    delete_files(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["catalog.db"]


@pytest.mark.parametrize(
    ("n_changed", "n_held", "expected"),
    [(0, 100, False), (1, 100, True), (1, 5001, False), (2001, 5001, True), (9e3, 1e5, False)],
)
def test_a_large_file_is_made_anew_after_many_changes(n_changed, n_held, expected):
    assert is_outdated(int(n_changed), int(n_held)) == expected
