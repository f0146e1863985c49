"""Which settings are one work, which are anthems, and where each work goes."""

import re
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pemr.corpus.notes import works as module
from pemr.corpus.notes.match import Match
from pemr.corpus.notes.works import find_anthems, is_kin, is_same, survey, works

LETTERS = "CDEFGABcdefgab"
ANTHEM = "GGA|F>GA|BBc|B>AG|AGF|G3|ddd|d>cB|ccc|c>BA|Bc/B/A/G/|B>cd|e/c/BA|G3|"


def body(rng, n_bars=16):
    places = np.cumsum(rng.choice([-3, -2, -1, 1, 2, 4], 4 * n_bars)) % 10
    return "|".join("".join(LETTERS[p] for p in places[i : i + 4]) for i in range(0, 4 * n_bars, 4))


def abc(number, title, key, notes, metre="4/4"):
    return f"X:{number}\nT:{title}\nM:{metre}\nL:1/4\nK:{key}\n{notes}|\n\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two books of folk tunes: eight of the second are those of the first in another key."""
    folder = tmp_path_factory.mktemp("scores")
    rng = np.random.default_rng(7)
    tunes = [body(rng) for _ in range(30)]
    others = [body(rng) for _ in range(10)]
    first = [abc(i, f"Tune {i}", "C", notes) for i, notes in enumerate(tunes)]
    second = [abc(i, f"Air {i}", "G", shifted(notes)) for i, notes in enumerate(tunes[:8] + others)]
    second.append(abc(99, "Sung at Court", "G", ANTHEM, "3/4"))
    for book, texts in (("one", first), ("two", second)):
        path = folder / "folk" / book / "tunes.abc"
        path.parent.mkdir(parents=True)
        path.write_text("".join(texts))
    return folder


def shifted(notes):
    """Move a tune in C up a fifth, letter by letter, as it reads in G."""
    return notes.translate(str.maketrans(LETTERS[:10], LETTERS[4:]))


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "N_HELD_OUT", 25)
        patch.setattr(module, "N_HUMAN", 4)
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def found(folder, cache, small):
    return survey(folder, cache)


def test_settings_in_other_keys_are_one_work(found):
    sizes = Counter(len(work.scores) for work in found.works if work.split == "human")
    assert sizes == {2: 4}
    assert len(found.pairs) == 8
    assert all(found.scores[p.one].book != found.scores[p.other].book for p in found.pairs)


def test_every_score_is_in_one_work_or_left_out(found):
    placed = Counter(score.source for work in found.works for score in work.scores)
    assert max(placed.values()) == 1
    assert not set(placed) & set(found.anthems)
    assert found.n_kin == 0
    assert set(placed) | set(found.anthems) == {score.source for score in found.scores}


def test_an_anthem_is_known_by_its_melody(found):
    assert found.anthems == {"folk/two/tunes.99": "God Save the King"}


def test_an_anthem_is_known_by_its_title(found):
    score = replace(found.scores[0], title="The Marseilles Hymn")
    assert find_anthems([score]) == {score.source: "The Marseilles Hymn"}


def test_splits_have_their_sizes(found):
    sizes = Counter(work.split for work in found.works)
    # Folk tunes are a fifth of what is held out.
    assert sizes == {"human": 4, "test": 5, "dev": 5, "train": 26}


def test_the_same_archives_give_the_same_works(found, folder, tmp_path):
    assert works(folder, tmp_path) == list(found.works)


def test_matching_is_cached(found, folder, cache, monkeypatch):
    monkeypatch.setattr(module, "candidates", None)
    assert works(folder, cache) == list(found.works)


def test_the_search_for_anthems_is_cached_until_others_are_known(found, folder, cache, monkeypatch):
    monkeypatch.setattr(module, "find_anthems", None)
    assert survey(folder, cache).anthems == found.anthems
    monkeypatch.setattr(module, "ANTHEM_TITLES", re.compile("other"))
    with pytest.raises(TypeError):
        survey(folder, cache)


def test_names_fit_a_folder_and_are_unique(found):
    names = [work.name for work in found.works]
    assert len(set(names)) == len(names)
    assert all(name.replace("-", "").isalnum() for name in names)


def test_a_copy_is_no_second_setting(found):
    score = found.scores[0]
    copy = replace(score, source="folk/three/1")
    higher = replace(copy, melody=tuple(n._replace(pitch=n.pitch + 2) for n in score.melody))
    fuller = replace(copy, accompaniment=score.melody)
    assert module._settings([score, copy], (0, 1)) == [0]
    assert module._settings([score, higher], (0, 1)) == [0, 1]
    assert module._settings([score, fuller], (0, 1)) == [0, 1]


def test_what_is_the_same_is_also_kin():
    match = Match(agreement=0.9, coverage=0.9, worth=0.8, n_notes=40, transposition=3)
    assert is_same(match)
    assert is_kin(match)
    assert not is_same(match._replace(worth=0.5))
    assert is_kin(match._replace(worth=0.5))
    assert not is_kin(match._replace(n_notes=5))


def test_kin_of_what_is_held_out_is_in_no_split(found):
    groups = [(place,) for place in range(30)]
    order = sorted(groups, key=lambda group: module._hash(found.scores[group[0]].source))
    kin = {group: set() for group in groups}
    kin[order[0]], kin[order[29]] = {order[29]}, {order[0]}
    splits = module._split(found.scores, groups, kin)
    assert splits[order[0]] == "test"
    assert order[29] not in splits
    assert len(splits) == 29


def leadsheets(folder, melodies):
    for name, abc_melody in melodies.items():
        path = folder / "leadsheets" / "Core" / f"{name}.ly"
        path.parent.mkdir(parents=True, exist_ok=True)
        notes = " ".join(
            letter.lower() + ("'" if letter.islower() else "") for letter in abc_melody
        )
        path.write_text(f"refrainMelody = \\relative c' {{ \\time 4/4 {nearest(notes)} }}\n")


def nearest(notes):
    """Write notes of the scale of C, ``c'`` the higher octave, as \\relative reads them."""
    steps = [("cdefgab".index(name[0]) + 7 * name.count("'")) for name in notes.split()]
    written, last = [], 0
    for step in steps:
        nearest_step = last + (step - last + 3) % 7 - 3
        octaves = (step - nearest_step) // 7
        written.append("cdefgab"[step % 7] + ("'" * octaves or "," * -octaves) + "4")
        last = step
    return " ".join(written)


def test_what_came_later_is_trained_on_and_moves_nothing(found, folder, tmp_path):
    by_source = {score.source: work for work in found.works for score in work.scores}
    scores = tmp_path / "scores"
    shutil.copytree(folder, scores)
    texts = (folder / "folk" / "one" / "tunes.abc").read_text().split("X:")[1:]
    tunes = {t.split("\n")[0]: t.split("\n")[-3].replace("|", "") for t in texts}
    trained, held = (
        next(n for n in tunes if is_of(by_source[f"folk/one/tunes.{n}"], splits))
        for splits in (("train",), ("test", "dev", "human"))
    )
    new = body(np.random.default_rng(99)).replace("|", "")
    leadsheets(scores, {"known": tunes[trained], "held": tunes[held], "new": new})
    later = survey(scores, tmp_path)
    places = {score.source: work for work in later.works for score in work.scores}
    assert places["leadsheets/known"].name == by_source[f"folk/one/tunes.{trained}"].name
    assert places["leadsheets/new"].split == "train"
    assert "leadsheets/held" not in places
    assert later.n_kin == 1
    for work in found.works:
        assert next(w for w in later.works if w.name == work.name).split == work.split


def is_of(work, splits):
    return work.split in splits
