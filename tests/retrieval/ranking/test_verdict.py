"""What a search comes to: likely candidates, no cover, or nothing that can be said."""

from pathlib import Path

import pytest

from retrieval import Candidate, judge


def candidate(rank, probability):
    return Candidate(
        rank=rank, score=1 / rank, track_id=rank, title=None, artist=None, album=None,
        duration_s=60.0, path=Path(f"/m/{rank}"), transposition=0, embedding_score=0.4,
        alignment_score=5.0, probability=probability,
    )  # fmt: skip


SOME = [candidate(1, 0.9), candidate(2, 0.2), candidate(3, 0.6)]


def test_the_likely_ones_are_kept_in_their_order():
    verdict = judge(SOME)
    assert (verdict.word, [one.rank for one in verdict.candidates]) == ("cover", [1, 3])
    assert verdict.likeliest == SOME[0]


@pytest.mark.parametrize(("least", "ranks"), [(0.0, [1, 2, 3]), (0.7, [1]), (0.95, [])])
def test_how_likely_is_for_the_user_to_say(least, ranks):
    verdict = judge(SOME, least)
    assert [one.rank for one in verdict.candidates] == ranks
    assert verdict.word == ("cover" if ranks else "no cover")


def test_all_can_be_seen_even_where_there_is_no_cover():
    verdict = judge(SOME, 0.95, everything=True)
    assert (verdict.word, len(verdict.candidates)) == ("no cover", 3)


def test_without_a_calibration_nothing_is_claimed():
    unknown = [candidate(1, None), candidate(2, None)]
    verdict = judge(unknown)
    assert (verdict.word, verdict.candidates) == ("unknown", tuple(unknown))
    assert verdict.likeliest is None


def test_nothing_to_choose_from_is_no_cover():
    assert judge([]).word == "no cover"


def test_a_probability_out_of_its_bounds_is_refused():
    with pytest.raises(ValueError, match="must be in 0"):
        judge(SOME, 1.5)
