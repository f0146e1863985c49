"""Discogs-VI-YT on a stand-in tree."""

import json
from dataclasses import replace

import pytest

from retrieval.benchmarks import discogs_vi
from retrieval.benchmarks.discogs_vi import CARD, load
from retrieval.errors import BenchmarkError

CLIQUES = {
    "C-0000001": [
        {"version_id": "V-1", "track_title": "Tune", "youtube_id": "dQw4w9WgXcQ"},
        {"version_id": "V-2", "track_title": "Tune (live) ♪", "youtube_id": "-_abcdefghi"},
    ],
    "C-0000002": [
        {"version_id": "V-3", "track_title": None, "youtube_id": "AAAAAAAAAAA"},
        {"version_id": "V-4", "youtube_id": "BBBBBBBBBBB"},
    ],
}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.setattr(discogs_vi, "CARD", replace(CARD, expected={"all": (4, 2)}))
    for ending in ("", ".test"):
        path = tmp_path / f"main/Discogs-VI-YT-20240701-light.json{ending}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(CLIQUES))
    for name in ("dQ/dQw4w9WgXcQ.mp4", "-_/-_abcdefghi.opus", "zz/zzzzzzzzzzz.mp4"):
        path = tmp_path / "music" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(name.encode())
    return tmp_path


def test_versions_are_performances_of_their_clique(tree):
    benchmark = load(tree)
    assert [(p.name, p.work) for p in benchmark.performances] == [
        ("V-1", "C-0000001"),
        ("V-2", "C-0000001"),
        ("V-3", "C-0000002"),
        ("V-4", "C-0000002"),
    ]
    assert benchmark.performances[1].title == "Tune (live) ♪"


def test_audio_is_found_by_youtube_id_and_the_rest_counted(tree):
    benchmark = load(tree)
    assert [p.path.name for p in benchmark.present] == ["dQw4w9WgXcQ.mp4", "-_abcdefghi.opus"]
    assert [p.address for p in benchmark.missing] == [
        "https://www.youtube.com/watch?v=AAAAAAAAAAA",
        "https://www.youtube.com/watch?v=BBBBBBBBBBB",
    ]
    assert [path.name for path in benchmark.extra_files] == ["zzzzzzzzzzz.mp4"]


def test_wrong_count_of_the_whole_is_refused_with_the_difference(tree, monkeypatch):
    monkeypatch.setattr(discogs_vi, "CARD", CARD)
    with pytest.raises(BenchmarkError, match=r"hold 4 of 2 \(-493045 and -98783\)"):
        load(tree, subset="all")


def test_older_order_of_the_name_is_found(tree):
    path = tree / "main/Discogs-VI-YT-20240701-light.json.test"
    path.rename(tree / "Discogs-VI-YT-light-20240701.json.test")
    assert len(load(tree).performances) == 4


@pytest.mark.parametrize(
    "text", ["[]", "not json", '{"C-1": [{"version_id": "V-1"}]}', '{"C-1": {"a": 1}}', "\x00"]
)
def test_malformed_list_is_one_sentence(tree, text):
    (tree / "main/Discogs-VI-YT-20240701-light.json.test").write_text(text)
    with pytest.raises(BenchmarkError, match="not cliques of versions"):
        load(tree)


def test_version_listed_twice_is_refused(tree):
    doubled = {**CLIQUES, "C-3": CLIQUES["C-0000001"]}
    (tree / "main/Discogs-VI-YT-20240701-light.json.test").write_text(json.dumps(doubled))
    with pytest.raises(BenchmarkError, match="name 2 performances twice, 'V-1' first"):
        load(tree)


def test_wrong_root_says_what_was_expected_where(tmp_path):
    with pytest.raises(BenchmarkError, match=r"light.json.test: no such file; discogs_vi expects"):
        load(tmp_path)
