"""Pictures hold what they should, and what cannot be drawn is said in a sentence."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from retrieval.errors import PictureError
from retrieval.ranking.candidate import Query, span_words
from retrieval.ranking.matching.spans import find_paths, find_spans
from retrieval.ranking.verdict import judge
from retrieval.reporting.picture import draw_best, draw_match, draw_scores

pytest.importorskip("matplotlib")


def asked(tonal):
    return Query(
        embeddings=np.zeros((1, 4), np.float32), tonal=tonal, duration_s=tonal.shape[1] / 5
    )


def test_every_span_stands_in_the_picture_in_words(rng, song, tmp_path):
    verse = song(rng, 40)
    track = np.concatenate([verse, song(rng, 20), np.roll(verse, 3, axis=0)], axis=1)
    draw_match(asked(verse), track, tmp_path / "match.svg", names=("a $1", "b\udcff.mp3"))
    text = (tmp_path / "match.svg").read_text()
    spans = find_spans(verse, track, 0)
    assert len(spans) == 2
    for span in spans:
        assert span_words(span) in text


def test_paths_run_inside_of_their_spans(rng, song):
    query = song(rng, 60)
    ((span, path),) = find_paths(query, query, 0)
    assert find_spans(query, query, 0) == [span]
    assert (np.diff(path, axis=0) > 0).all()
    assert span.query_start_s <= path[0, 0] < path[-1, 0] <= span.query_end_s
    assert span.start_s <= path[0, 1] < path[-1, 1] <= span.end_s


@pytest.mark.parametrize("n_frames", [0, 3, 300])
def test_silence_and_a_moment_can_be_drawn(tmp_path, n_frames):
    silence = np.zeros((12, n_frames), np.uint8)
    draw_match(asked(silence), silence, tmp_path / "nothing.svg", names=("a", "b"))
    assert "nothing agrees" in (tmp_path / "nothing.svg").read_text()


def test_a_picture_that_cannot_be_written_is_told(rng, song, tmp_path):
    query = song(rng, 40)
    for out in (tmp_path / "absent" / "match.png", tmp_path / "match.doc"):
        with pytest.raises(PictureError, match="cannot be written"):
            draw_match(asked(query), query, out, names=("a", "b"))


def test_no_candidate_is_no_picture(rng, song, tmp_path):
    with pytest.raises(PictureError, match="no candidate"):
        draw_best(None, asked(song(rng, 20)), judge([]), None, name="a", out=tmp_path / "none.png")


def report(rows):
    return SimpleNamespace(queries=rows, title="A folder", data="music")


def test_scores_stand_beside_each_other_with_a_threshold(tmp_path):
    row = SimpleNamespace(best_relevant_score=0.6, best_other_score=0.2)
    rows = [
        SimpleNamespace(best_relevant_score=0.5 + k / 100, best_other_score=k / 100)
        for k in range(40)
    ]
    draw_scores(report([row, *rows]), tmp_path / "scores.svg")
    text = (tmp_path / "scores.svg").read_text()
    assert "95 % of the covers above" in text
    assert "100% of the others below" in text


def test_a_benchmark_without_strangers_is_drawn_too(tmp_path):
    rows = [SimpleNamespace(best_relevant_score=0.6, best_other_score=None)]
    draw_scores(report(rows), tmp_path / "scores.png")
    assert Path(tmp_path / "scores.png").stat().st_size > 1000
