import numpy as np

from pemr.corpus.playing.arrange import Arrangement, Event, PlayedPart
from pemr.corpus.sounding.hearing import guess_harmony

C_MAJOR, A_MINOR = (48, 52, 55), (45, 48, 52)


def played(*chords, role="harmony", transposed=0):
    events = tuple(
        Event(4.0 * place, 4.0, pitch + transposed, 90)
        for place, chord in enumerate(chords)
        for pitch in chord
    )
    track = PlayedPart(role=role, program=0, voice="", gain_db=0.0, events=events)
    end = 4.0 * len(chords)
    time_map = np.array([[0.0, 0.0], [2 * end, end]])
    return Arrangement(tracks=(track,), duration_s=end, time_map=time_map, passages=(), band_db=0.0)


def guessed(performance, seed=0):
    told = guess_harmony(performance, 40, np.random.default_rng(seed))
    assert told.shape == (36, 40)
    return told.reshape(3, 12, 40).astype(int)


def test_chords_are_told_by_their_pitch_classes_their_bass_and_their_root():
    for seed in range(8):
        pitch, bass, root = guessed(played(C_MAJOR, A_MINOR), seed)
        for frames, members, lowest in (
            (slice(4, 16), (0, 4, 7), 0),
            (slice(24, 36), (9, 0, 4), 9),
        ):
            heard = pitch[:, frames].mean(1)
            assert set(np.argsort(-heard)[:3]) == set(members)
            assert bass[:, frames].mean(1).argmax() == lowest
            assert root[:, frames].mean(1).argmax() == lowest


def test_a_transposition_turns_what_is_told():
    here = guessed(played(C_MAJOR, A_MINOR))
    moved = guessed(played(C_MAJOR, A_MINOR, transposed=5))
    correlation = np.corrcoef(np.roll(here.mean(2), 5, axis=1).ravel(), moved.mean(2).ravel())
    assert correlation[0, 1] > 0.9


def test_neither_silence_nor_drums_have_harmony():
    assert not guessed(played()).any()
    assert not guessed(played(C_MAJOR, A_MINOR, role="drums")).any()


def test_what_is_told_is_a_function_of_the_seed():
    song = played(C_MAJOR, A_MINOR)
    np.testing.assert_array_equal(guessed(song, 3), guessed(song, 3))
    assert (guessed(song, 3) != guessed(song, 4)).any()
