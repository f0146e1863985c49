"""Search on catalogs small enough to know the answer."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sqlalchemy import Engine, event

from indexer import AudioFile, Catalog, Embedded, Filter, KeptRecording
from indexer.tags import Tags
from retrieval import Query, copies, search, stored_query
from retrieval.errors import EmptyCatalogError, SilentQueryError
from retrieval.ranking.alignment import by_alignment, fuse
from retrieval.ranking.matching.align import align
from retrieval.ranking.matching.spans import find_spans
from retrieval.ranking.nearest import track_scores
from retrieval.ranking.pool import Pool, unranked
from retrieval.ranking.ranking import PLAIN

DIM = 16
module = import_module("retrieval.ranking.searching")


def aligning(n_aligned):
    return replace(PLAIN, n_aligned=n_aligned)


def aligned(chroma, scores, tonal_of, n_aligned):
    """Run the stage of alignment alone, from scores that are given."""
    pool = Pool(
        embeddings=[np.zeros((1, DIM), np.float32)] * len(scores),
        is_candidate=np.isfinite(scores),
        mean_length=1.0,
        hubness=lambda: np.zeros(len(scores)),
        tonal_of=tonal_of,
    )
    query = Query(embeddings=np.zeros((1, DIM), np.float32), tonal=chroma, duration_s=1.0)
    ranked = replace(unranked(pool), scores=np.array(scores))
    return by_alignment(query, pool, ranked, replace(PLAIN, n_aligned=n_aligned))


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def chroma_like(rng, n_chords=40):
    chords = rng.integers(0, 256, (12, n_chords), dtype=np.uint8)
    return np.repeat(chords, 5, axis=1)


@pytest.fixture
def catalog(tmp_path):
    with Catalog.write(tmp_path / "catalog", SimpleNamespace(name="fake", dim=DIM)) as opened:
        yield opened


def store(catalog, name, vectors, chroma, *, audio_hash=None):
    starts = np.arange(len(vectors), dtype=np.float64) * 10
    embedded = Embedded(
        vectors=vectors,
        spans_s=np.stack([starts, starts + 20], axis=1),
        recording=replace(KeptRecording.without_frames(chroma.shape[1] / 5), chroma=chroma),
    )
    file = AudioFile(Path("/music") / name, 1, 1, audio_hash or f"hash of {name}")
    return catalog.store(file, Tags(name, artist="Somebody", album="Something"), embedded)


def fill(catalog, rng, n_tracks=12):
    """Store tracks of one to four random segments; return their ids."""
    return [
        store(
            catalog,
            f"{k}.wav",
            unit(rng.normal(size=(1 + k % 4, DIM))),
            chroma_like(rng),
        )
        for k in range(n_tracks)
    ]


def foreign_query(rng, n_segments=3):
    return Query(
        embeddings=unit(rng.normal(size=(n_segments, DIM))),
        tonal=chroma_like(rng),
        duration_s=40.0,
    )


def nearest_mean(these, those):
    return sum(max(float(a @ b) for b in those) for a in these) / len(these)


def slow_track_score(query, candidate, mean_length):
    weight = min(1, len(query) / mean_length)
    there, back = nearest_mean(query, candidate), nearest_mean(candidate, query)
    return (there + weight * back) / (1 + weight)


@pytest.mark.parametrize("n_segments", [1, 3, 9], ids=["excerpt", "whole", "longer than all"])
def test_track_scores_equal_a_loop_over_segments(rng, n_segments):
    query = unit(rng.normal(size=(n_segments, DIM)))
    candidates = [unit(rng.normal(size=(n, DIM))) for n in (1, 7, 4)]
    expected = [slow_track_score(query, candidate, 4) for candidate in candidates]
    np.testing.assert_allclose(track_scores(query, candidates), expected, atol=1e-6)


def test_a_candidate_without_segments_scores_lowest(rng):
    query = unit(rng.normal(size=(2, DIM)))
    empty = np.empty((0, DIM), np.float32)
    scores = track_scores(query, [empty, query, empty])
    np.testing.assert_allclose(scores, [-1, 1, -1], atol=1e-6)
    assert track_scores(query, [empty]).tolist() == [-1]
    assert track_scores(query, []).shape == (0,)


def test_a_recording_scores_one_with_itself(rng):
    track = unit(rng.normal(size=(9, DIM)))
    assert track_scores(track, [track])[0] == pytest.approx(1)


def test_an_excerpt_prefers_the_track_it_was_cut_from(rng):
    tracks = [unit(rng.normal(size=(9, DIM))) for _ in range(20)]
    assert np.argmax(track_scores(tracks[7][4:5], tracks)) == 7


def test_fusion_never_lowers_a_score_and_leaves_the_others(rng):
    embedding_scores = rng.normal(size=20)
    alignment_scores = np.where(rng.random(20) < 0.5, rng.random(20) * 20, np.nan)
    fused = fuse(embedding_scores, alignment_scores, 0.7, 5.0)
    is_aligned = ~np.isnan(alignment_scores)
    np.testing.assert_array_equal(fused[~is_aligned], embedding_scores[~is_aligned])
    added = (fused - embedding_scores)[is_aligned]
    np.testing.assert_allclose(added, 0.7 / (1 + 5 / alignment_scores[is_aligned]))


def test_a_better_alignment_scores_higher():
    assert np.diff(fuse(np.zeros(5), np.array([0, 1.0, 2, 8, 30]), 1.0, 5.0)).min() > 0


def test_only_the_best_are_aligned_and_lead_the_ranking(rng):
    chromas = [chroma_like(rng) for _ in range(8)]
    embedding_scores = rng.random(8)
    asked = []

    def chroma_of(indices):
        asked.extend(indices)
        return [chromas[index] for index in indices]

    scored = aligned(chromas[0], embedding_scores, chroma_of, 3)
    best = np.argsort(-embedding_scores)[:3]
    assert sorted(asked) == sorted(best.tolist())
    assert sorted(np.argsort(-scored.scores)[:3]) == sorted(best)
    for index in best:
        expected = align(chromas[0], chromas[index])
        assert scored.alignment_scores[index] == expected.score
        assert scored.transpositions[index] == expected.transposition
    assert np.isnan(np.delete(scored.alignment_scores, best)).all()


def test_what_is_no_candidate_is_never_aligned(rng):
    chroma = chroma_like(rng)
    scored = aligned(chroma, [-np.inf, 0.2], lambda indices: [chroma] * len(indices), 5)
    assert np.isnan(scored.alignment_scores[0])
    assert scored.scores[0] == -np.inf


def test_small_catalogs_are_ranked_exactly_and_whole(catalog, rng):
    ids = fill(catalog, rng)
    query = foreign_query(rng)
    found = search(catalog, query, aligning(0), n_candidates=50)
    segments = {k: catalog.embeddings(k) for k in ids}
    expected = {k: slow_track_score(query.embeddings, segments[k], 2.5) for k in ids}
    assert [c.track_id for c in found] == sorted(ids, key=lambda k: -expected[k])
    for rank, candidate in enumerate(found, start=1):
        assert candidate.rank == rank
        assert candidate.score == candidate.embedding_score
        assert candidate.embedding_score == pytest.approx(expected[candidate.track_id], abs=1e-6)
        assert candidate.alignment_score is None
        assert candidate.transposition is None
        assert candidate.spans == ()


def test_an_aligned_candidate_says_how(catalog, rng):
    fill(catalog, rng)
    query = foreign_query(rng)
    chroma = np.roll(query.tonal, 4, axis=0)
    vectors = unit(query.embeddings + 0.1 * rng.normal(size=(3, DIM)))
    cover = store(catalog, "cover.flac", vectors, chroma)
    best = search(catalog, query, n_candidates=1)[0]
    assert best.track_id == cover
    assert best.transposition == 4
    assert best.alignment_score == align(query.tonal, chroma).score
    assert best.score > best.embedding_score
    assert best.spans == tuple(find_spans(query.tonal, chroma, 4))
    assert best.spans[0].end_s == 40
    assert (best.title, best.artist, best.album) == ("cover.flac", "Somebody", "Something")
    assert best.path == Path("/music/cover.flac")
    assert best.duration_s == 40


def test_spans_end_where_the_recordings_end(catalog, rng):
    query = foreign_query(rng)
    query = replace(query, duration_s=39.9)
    recording = replace(KeptRecording.without_frames(39.8), chroma=query.tonal)
    copy = Embedded(query.embeddings, np.array([[0, 20.0]] * 3), recording)
    catalog.store(AudioFile(Path("/music/x"), 1, 1, "x"), Tags("x"), copy)
    span = search(catalog, query)[0].spans[0]
    assert (span.query_end_s, span.end_s) == (39.9, 39.8)


def test_aligned_candidates_stay_ahead_of_the_others(catalog, rng):
    fill(catalog, rng)
    query = foreign_query(rng)
    by_embedding = search(catalog, query, aligning(0), n_candidates=50)
    found = search(catalog, query, aligning(5), n_candidates=50)
    assert {c.track_id for c in found[:5]} == {c.track_id for c in by_embedding[:5]}
    assert [c.track_id for c in found[5:]] == [c.track_id for c in by_embedding[5:]]
    assert [c.alignment_score is None for c in found] == [False] * 5 + [True] * 7
    assert all(a.score >= b.score for a, b in pairwise(found))


def test_query_is_never_its_own_candidate(catalog, rng):
    ids = fill(catalog, rng)
    query = stored_query(catalog, catalog.track(ids[3]))
    assert query.duration_s == 40
    found = search(catalog, query, n_candidates=50)
    assert sorted(c.track_id for c in found) == sorted({*ids} - {ids[3]})


@pytest.mark.parametrize("is_stored", [True, False])
def test_a_copy_of_the_query_is_no_cover_but_is_counted(catalog, rng, is_stored):
    ids = fill(catalog, rng, 4)
    original = catalog.track(ids[0])
    copy = store(
        catalog,
        "copy.wav",
        catalog.embeddings(ids[0]),
        catalog.pitches_of([ids[0]])[0].chroma,
        audio_hash=original.audio_hash,
    )
    query = stored_query(catalog, original)
    if not is_stored:
        query = Query(
            embeddings=query.embeddings,
            tonal=query.tonal,
            duration_s=query.duration_s,
            audio_hash=original.audio_hash,
        )
    assert sorted(c.track_id for c in search(catalog, query)) == ids[1:]
    expected = [copy] if is_stored else [ids[0], copy]
    assert [track.id for track in copies(catalog, query)] == expected


def test_a_query_of_unknown_audio_has_no_copies(catalog, rng):
    fill(catalog, rng, 2)
    assert copies(catalog, foreign_query(rng)) == []


def test_silent_tracks_are_never_candidates(catalog, rng):
    ids = fill(catalog, rng, 3)
    store(catalog, "silence.wav", np.empty((0, DIM), np.float32), np.zeros((12, 50), np.uint8))
    assert sorted(c.track_id for c in search(catalog, foreign_query(rng))) == ids


def test_a_silent_query_is_refused(catalog, rng):
    fill(catalog, rng, 2)
    with pytest.raises(SilentQueryError, match="silent"):
        search(catalog, foreign_query(rng, n_segments=0))


def test_an_empty_catalog_is_refused(catalog, rng):
    with pytest.raises(EmptyCatalogError, match="pemr index"):
        search(catalog, foreign_query(rng))


def test_a_catalog_of_silence_alone_is_refused(catalog, rng):
    store(catalog, "silence.wav", np.empty((0, DIM), np.float32), np.zeros((12, 50), np.uint8))
    with pytest.raises(EmptyCatalogError):
        search(catalog, foreign_query(rng))


def test_a_catalog_of_the_query_alone_has_no_answer(catalog, rng):
    ids = fill(catalog, rng, 1)
    assert search(catalog, stored_query(catalog, catalog.track(ids[0]))) == []


def test_equal_scores_keep_the_order_of_ids(catalog, rng):
    vectors, chroma = unit(rng.normal(size=(2, DIM))), chroma_like(rng)
    ids = [store(catalog, f"{k}.wav", vectors, chroma) for k in range(5)]
    assert [c.track_id for c in search(catalog, foreign_query(rng))] == ids


def test_a_catalog_without_harmony_is_aligned_by_chroma_and_says_so_once(catalog, rng, caplog):
    fill(catalog, rng)
    query = foreign_query(rng)
    search(catalog, query)
    assert not caplog.records
    heard = replace(query, tonal=np.concatenate([query.tonal] * 3))
    found = search(catalog, heard)
    (told,) = caplog.records
    assert "`pemr index --again` hears it" in told.getMessage()
    assert [c.score for c in found] == [c.score for c in search(catalog, query)]


@pytest.fixture(scope="module")
def thousand(tmp_path_factory):
    """Fill a catalog with a thousand short tracks, and open it to be read."""
    folder, rng = tmp_path_factory.mktemp("thousand"), np.random.default_rng(0)
    with Catalog.write(folder, SimpleNamespace(name="fake", dim=DIM)) as opened:
        vectors = unit(rng.normal(size=(1000, 2, DIM)))
        for number in range(1000):
            store(opened, f"{number}.wav", vectors[number], chroma_like(rng, 4))
    with Catalog.open(folder) as opened:
        yield opened


@pytest.fixture
def statements():
    """Gather the SQL statements that are made."""
    made: list[str] = []

    def note(_connection, _cursor, statement, *_others):
        made.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield made
    event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("n_aligned", [0, 50, None], ids=["none aligned", "fifty", "all"])
def test_a_search_makes_few_statements_however_many_tracks(thousand, statements, n_aligned):
    ranking = replace(PLAIN, hub_weight=0.3, neighbour_weight=0.5, n_aligned=n_aligned)
    query = stored_query(thousand, thousand.tracks()[500])
    statements.clear()
    assert len(search(thousand, query, ranking)) == 10
    assert len(statements) <= 20, "\n".join(statements)


def test_copies_are_one_answer_that_counts_them(catalog, rng):
    query = foreign_query(rng)
    fill(catalog, rng)
    recording = replace(KeptRecording.without_frames(40.0), chroma=query.tonal)
    same = Embedded(query.embeddings, np.array([[0, 20.0]] * 3), recording)
    for name in ("a.mp3", "link.mp3", "copy.mp3"):
        catalog.store(AudioFile(Path("/music") / name, 1, 1, "same"), Tags(name), same)
    folded = search(catalog, query, n_candidates=3)
    assert [c.rank for c in folded] == [1, 2, 3]
    assert [c.n_copies for c in folded] == [3, 1, 1]
    assert folded[0].path.name == "a.mp3"
    every = search(catalog, query, n_candidates=3, all_copies=True)
    assert [c.path.name for c in every] == ["a.mp3", "link.mp3", "copy.mp3"]
    assert [c.n_copies for c in every] == [1, 1, 1]


def test_threads_that_search_at_once_find_what_one_finds(thousand):
    ranking = replace(PLAIN, hub_weight=0.3, neighbour_weight=0.5, n_aligned=5)
    queries = [stored_query(thousand, track) for track in thousand.tracks()[:24]]
    expected = [search(thousand, query, ranking) for query in queries]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda query: search(thousand, query, ranking), queries))
    assert found == expected


def test_only_the_tracks_that_are_wanted_are_answers(catalog, rng, monkeypatch):
    ids = fill(catalog, rng, 5)
    query = stored_query(catalog, catalog.track(ids[0]))
    monkeypatch.setattr(Filter, "among", lambda _, tracks: [t for t in tracks if t.id != ids[3]])
    found = search(catalog, query, aligning(0), n_candidates=9, wanted=Filter(years="1960.."))
    assert sorted(one.track_id for one in found) == [ids[1], ids[2], ids[4]]


def test_a_catalog_without_wanted_tracks_has_no_answer(catalog, rng):
    ids = fill(catalog, rng, 3)
    query = stored_query(catalog, catalog.track(ids[0]))
    assert search(catalog, query, wanted=Filter(artists=("nobody",))) == []
