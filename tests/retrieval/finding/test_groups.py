"""Groups of a catalog whose tracks are nothing but vectors."""

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from indexer import Catalog, build
from retrieval import Ranking, group, group_rows, group_table
from retrieval.errors import EmptyCatalogError, UncalibratedError
from retrieval.finding import links as links_module
from retrieval.finding.groups import _recordings, cluster
from retrieval.finding.links import Link, Links, probabilities, read_links
from retrieval.ranking.calibrate import Calibration
from retrieval.ranking.nearest import track_scores
from tests.conftest import FakeEmbedder

BY_EMBEDDING = Ranking(
    calibration=Calibration(
        intercept=-10.0, embedding=20.0, alignment=0.0, n_tracks=0.0, n_segments=0.0
    )
)


def of_works(rng, n_works, n_performances, blur=0.5, dim=64):
    """Segments of tracks, some performances of each work, and a stranger behind them."""
    tracks = []
    for _ in range(n_works):
        work = rng.standard_normal((8, dim))
        for _ in range(n_performances):
            n_segments = int(rng.integers(6, 9))
            tracks.append(work[:n_segments] + blur * rng.standard_normal((n_segments, dim)))
    tracks.append(rng.standard_normal((8, dim)))
    return [(t / np.linalg.norm(t, axis=1, keepdims=True)).astype(np.float32) for t in tracks]


def ids(groups):
    return [{track.id for track in one.tracks} for one in groups]


def test_performances_of_one_work_are_one_group(filled, tmp_path, rng):
    catalog, of_track = filled(tmp_path / "catalog", of_works(rng, 4, 3))
    with catalog:
        found = group(catalog, BY_EMBEDDING)
    assert ids(found) == [set(of_track[at : at + 3]) for at in (0, 3, 6, 9)]
    assert all(0.5 < one.probabilities[-1] <= one.probabilities[0] <= 1 for one in found)


def test_probabilities_are_those_of_a_search_in_its_worse_direction(filled, tmp_path, rng):
    vectors = of_works(rng, 2, 2, blur=0.8)
    catalog, of_track = filled(tmp_path / "catalog", vectors)
    with catalog:
        group(catalog, BY_EMBEDDING)
        likely = probabilities(read_links(catalog, BY_EMBEDDING), catalog, BY_EMBEDDING.calibration)
    mean_length = np.mean([len(one) for one in vectors])
    for one, other in combinations(range(4), 2):
        scores = [
            track_scores(vectors[a], [vectors[b]], mean_length)[0]
            for a, b in ((one, other), (other, one))
        ]
        expected = BY_EMBEDDING.calibration.probability(
            min(scores), np.nan, n_tracks=1, n_segments=1
        )
        if expected > links_module.LEAST_LIKELY:
            assert likely[of_track[one], of_track[other]] == pytest.approx(float(expected))


def test_only_new_tracks_are_compared_again(filled, tmp_path, rng, monkeypatch):
    catalog, of_track = filled(tmp_path / "catalog", of_works(rng, 3, 3))
    with catalog:
        first = group(catalog, BY_EMBEDDING)
        monkeypatch.setattr(links_module, "_ask", None)
        assert group(catalog, BY_EMBEDDING) == first
        catalog.delete([of_track[1]])
        assert ids(group(catalog, BY_EMBEDDING))[-1] == {of_track[0], of_track[2]}
        monkeypatch.undo()
        again = replace(BY_EMBEDDING, harmony_weights=(1.0,))
        assert read_links(catalog, again) == Links()


def test_an_interrupted_call_keeps_what_was_done(filled, tmp_path, rng):
    def interrupted(tracks):
        yield next(tracks)
        raise KeyboardInterrupt

    catalog, of_track = filled(tmp_path / "catalog", of_works(rng, 2, 3))
    with catalog:
        with pytest.raises(KeyboardInterrupt):
            group(catalog, BY_EMBEDDING, watch=interrupted)
        assert set(read_links(catalog, BY_EMBEDDING).asked) == {of_track[0]}
        assert len(group(catalog, BY_EMBEDDING)) == 2


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_a_damaged_file_is_made_again(filled, tmp_path, rng, content):
    catalog, _ = filled(tmp_path / "catalog", of_works(rng, 2, 2))
    with catalog:
        found = group(catalog, BY_EMBEDDING)
        (catalog.path / links_module.FILE).write_bytes(content)
        assert group(catalog, BY_EMBEDDING) == found


def test_a_folder_that_cannot_be_written_is_grouped_all_the_same(
    filled, tmp_path, rng, monkeypatch, caplog
):
    catalog, _ = filled(tmp_path / "catalog", of_works(rng, 2, 2))
    monkeypatch.setattr(links_module, "FILE", "absent/links.npz")
    with catalog:
        assert len(group(catalog, BY_EMBEDDING)) == 2
    assert "cannot be written" in caplog.text


def test_what_cannot_be_grouped_is_refused(filled, tmp_path, rng, catalog):
    one, _ = filled(tmp_path / "one", of_works(rng, 0, 0))
    with one:
        assert group(one, BY_EMBEDDING) == []
        with pytest.raises(UncalibratedError, match="no calibration"):
            group(one, Ranking())
    with pytest.raises(EmptyCatalogError):
        group(catalog, BY_EMBEDDING)


def test_rows_begin_with_what_represents_the_group(filled, tmp_path, rng):
    catalog, of_track = filled(tmp_path / "catalog", of_works(rng, 1, 3))
    with catalog:
        catalog.mark_missing([of_track[1]], is_missing=True)
        found = group(catalog, BY_EMBEDDING)
    rows = json.loads(json.dumps(group_rows(found)))
    assert [row["is_representative"] for row in rows] == [True, False, False]
    assert {row["track_id"]: row["state"] for row in rows}[of_track[1]] == "missing"
    assert [row["group"] for row in group_table(found)] == ["1 *", "1", "1"]


def test_forms_of_one_recording_have_one_number():
    assert _recordings([5, 3, 9, 4], {(3, 4), (4, 9)}) == [1, 2, 2, 2]
    assert _recordings([5, 3, 9, 4], set()) == [1, 2, 3, 4]
    assert _recordings([5, 3, 9, 4], {(3, 5)}) == [1, 1, 2, 3]


def test_copies_are_told_from_covers(tmp_path, tone):
    embedder = FakeEmbedder(dim=64)
    for name, seed, cut in (("a", 0, 30), ("b", 0, 29), ("c", 1, 30)):
        tone(tmp_path / "music" / f"{name}.wav", seed=seed, duration_s=cut)
    with Catalog.write(tmp_path / "copies", embedder) as opened:
        list(build(opened, embedder, [tmp_path / "music"]))
        (found,) = group(opened, BY_EMBEDDING)
    assert {track.path.stem for track in found.tracks} == {"a", "b"}
    assert found.recordings == (1, 1)


def naive(likely, min_probability, linkage):
    """The same from its definition: every mean is taken anew."""
    groups = [{one} for one in sorted({one for pair in likely for one in pair})]
    for (one, other), probability in sorted(likely.items(), key=lambda item: (-item[1], item[0])):
        (first,) = [g for g in groups if one in g]
        (second,) = [g for g in groups if other in g]
        if probability < min_probability or first is second:
            continue
        pairs = [likely.get((min(a, b), max(a, b)), 0.0) for a in first for b in second]
        if np.mean(pairs) >= linkage:
            groups = [g for g in groups if g not in (first, second)] + [first | second]
    return sorted(sorted(g) for g in groups if len(g) > 1)


@pytest.mark.parametrize("seed", range(8))
def test_groups_are_those_of_the_definition(seed):
    rng = np.random.default_rng(seed)
    pairs = [pair for pair in combinations(range(12), 2) if rng.random() < 0.5]
    likely = {pair: float(rng.random()) for pair in pairs}
    found = sorted(sorted(members) for members in cluster(likely, 0.4, 0.35))
    assert found == naive(likely, 0.4, 0.35)


def test_a_chain_over_a_stranger_is_broken():
    works = [(0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5)]
    likely = {**dict.fromkeys(works, 0.9), (2, 3): 0.8}
    assert cluster(likely, 0.5) == [{0, 1, 2}, {3, 4, 5}]
    assert cluster({(0, 1): 0.9, (1, 2): 0.8}, 0.5) == [{0, 1, 2}]


def test_a_link_says_what_speaks_for_it():
    link = Link(there=0.5, back=0.4, follows=8.0, is_followed=7.0, is_same_recording=False)
    assert Links(of_pairs={(1, 2): link}, asked={1: "hash"}).of_pairs[1, 2].there == 0.5


def test_the_file_lies_beside_the_catalog(filled, tmp_path, rng):
    catalog, _ = filled(tmp_path / "catalog", of_works(rng, 1, 2))
    with catalog:
        group(catalog, BY_EMBEDDING)
    assert sorted(p.name for p in (tmp_path / "catalog").glob("links*")) == ["links.npz"]
    with Catalog.open(tmp_path / "catalog") as opened:
        assert len(group(opened, BY_EMBEDDING)) == 1
