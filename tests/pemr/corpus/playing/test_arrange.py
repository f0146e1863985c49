from dataclasses import replace

import numpy as np
import pytest

from pemr.corpus.demo import TUNES, transcribe
from pemr.corpus.playing.arrange import MAX_DURATION_S, arrange, grid
from pemr.corpus.playing.recipe import BRUTAL, STANDARD, draw
from pemr.corpus.playing.structure import Form

SCORES = [transcribe(tune) for tune in TUNES]
GREENSLEEVES = SCORES[2]


@pytest.fixture
def plain():
    recipe = draw(SCORES[0], STANDARD, np.random.default_rng(0))
    return replace(
        recipe, transposition=0, tempo=1.0, rubato=0.0, treatments=(), reharmonisers=(),
        players=(0,), second_line=0, form=Form(n_beats=48), tuning_cents=0.0, drift_cents=0.0,
        jitter_s=0.0, changes_mode=False, beats_per_bar=4, has_melody=True, style="block piano",
    )  # fmt: skip


def melody(performance):
    return next(track for track in performance.tracks if track.role == "melody")


def test_plain_recipe_plays_the_score_as_it_stands(plain):
    score = SCORES[0]
    events = melody(arrange(score, plain)).events[: len(score.melody)]
    beat_s = 60 / score.tempo_bpm
    for event, note in zip(events, score.melody, strict=True):
        assert event.start_s - events[0].start_s == pytest.approx(note.start * beat_s)
        assert event.duration_s == pytest.approx(note.duration * beat_s)
        assert (event.pitch - note.pitch) % 12 == 0


@pytest.mark.parametrize("semitones", [-5, 3, 6])
def test_transposition_moves_tune_and_chords_alike(plain, semitones):
    home, away = (
        arrange(SCORES[0], replace(plain, transposition=t, style="alberti")) for t in (0, semitones)
    )
    for before, after in zip(home.tracks, away.tracks, strict=True):
        moved = {round(b.pitch - a.pitch) % 12 for a, b in zip(before.events, after.events)}  # noqa: B905
        assert moved == {semitones % 12}
    assert {p.transposition for p in away.passages} == {semitones}


@pytest.mark.parametrize("seed", range(12))
def test_any_recipe_gives_playable_tracks(seed):
    rng = np.random.default_rng(seed)
    score = SCORES[seed % len(SCORES)]
    performance = arrange(score, draw(score, BRUTAL, rng, voices=("alto",)), SCORES[0])
    assert 5 < performance.duration_s <= MAX_DURATION_S + 3
    assert (np.diff(performance.time_map, axis=0) > 0).all()
    for track in performance.tracks:
        assert track.events
        for event in track.events:
            assert 0 <= event.start_s < performance.duration_s
            assert event.duration_s > 0
            assert 1 <= event.velocity <= 127


def test_same_recipe_gives_the_same_performance():
    recipe = draw(SCORES[4], BRUTAL, np.random.default_rng(8))
    assert arrange(SCORES[4], recipe).tracks == arrange(SCORES[4], recipe).tracks


def test_performance_without_the_tune_has_none(plain):
    performance = arrange(SCORES[0], replace(plain, has_melody=False))
    assert {track.role for track in performance.tracks} == {"harmony", "bass"}


def test_tuning_moves_all_but_the_drums(plain):
    performance = arrange(SCORES[0], replace(plain, tuning_cents=30.0, style="pop band"))
    for track in performance.tracks:
        cents = {round(100 * (event.pitch - round(event.pitch))) for event in track.events}
        assert cents == ({0} if track.role == "drums" else {30})


def test_changes_of_players_pass_the_tune_on(plain):
    recipe = replace(plain, players=(40, "tenor"), form=Form(n_beats=120))
    tracks = [track for track in arrange(SCORES[0], recipe).tracks if track.role == "melody"]
    assert {(track.program, track.voice) for track in tracks} == {(40, ""), (52, "tenor")}
    assert {track.gain_db for track in tracks}


def test_pulse_of_six_eight_is_three_beats_after_the_pickup(plain):
    laid = grid(GREENSLEEVES, plain)
    assert laid.n_per_bar == 2
    assert laid.pulses[0].start == GREENSLEEVES.pickup
    assert {pulse.length for pulse in laid.pulses} == {3.0}


def test_second_line_accompanies_the_tune(plain):
    performance = arrange(SCORES[0], replace(plain, second_line=-2))
    assert "second" in {track.role for track in performance.tracks}
    assert performance.band_db == plain.band_db
