"""Covers80 on a stand-in tree with its exact layout."""

import csv

import pytest

from retrieval.benchmarks import load_benchmark
from retrieval.benchmarks.covers80 import CARD, load
from retrieval.errors import BenchmarkError

WATCHTOWER = "All_Along_The_Watchtower"
EXTRA = [
    f"{WATCHTOWER}/jimi_hendrix_experience+Electric_Ladyland+15-{WATCHTOWER}",
    "All_Along_The_Watchtower/u2+Rattle_and_Hum+05-All_Along_The_Watchtower",
    "Let_It_Be/nick_cave+I_am_Sam+20-Let_It_Be",
    "Take_Me_To_The_River/talking_heads+Stop_Making_Sense+09-Take_Me_To_The_River",
]
LARGER = {
    "All_Along_The_Watchtower": [
        "bob_dylan+Before_The_Flood_Disc_Two_+07-All_Along_the_Watchtower",
        "dave_matthews_band+Live_At_Red_Rocks_8_15_95_Disc_2+08-All_Along_The_Watchtower",
    ],
    "Let_It_Be": ["beatles+1+26-Let_It_Be", "beatles+Let_It_Be+06-Let_It_Be"],
    "Take_Me_To_The_River": [
        "al_green+Anthology+39-Take_Me_To_The_River",
        "annie_lennox+Medusa+02-Take_Me_To_The_River",
    ],
}


@pytest.fixture
def tree(tmp_path):
    pairs = [[f"Work_{i:02}/ar_{i}+Al_bum+{k:02}-Vol. {i}" for k in (1, 2)] for i in range(77)]
    pairs += [[f"{work}/{track}" for track in tracks] for work, tracks in LARGER.items()]
    write_tree(tmp_path / "covers32k", pairs, EXTRA)
    return tmp_path


def write_tree(folder, pairs, extra):
    for name in [name for pair in pairs for name in pair] + extra:
        path = folder / f"{name}.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    for k in (0, 1):
        lines = "".join(f"{pair[k]}\n" for pair in pairs)
        (folder / f"list{k + 1}.list").write_text(lines)


@pytest.mark.parametrize(
    ("convention", "n_performances", "n_queries", "n_candidates"),
    [("160", 160, 160, 160), ("164", 164, 164, 164), ("80x80", 160, 80, 80)],
)
def test_conventions_have_their_counts(tree, convention, n_performances, n_queries, n_candidates):
    benchmark = load(tree, convention=convention)
    assert len(benchmark.performances) == n_performances
    assert sum(p.is_query for p in benchmark.performances) == n_queries
    assert sum(p.is_candidate for p in benchmark.performances) == n_candidates
    assert len({p.work for p in benchmark.performances}) == 80
    assert benchmark.missing == ()
    assert benchmark.convention == convention


def test_first_convention_is_the_default_and_covers32k_itself_is_a_root(tree):
    assert load(tree / "covers32k").convention == "160"


def test_name_gives_work_title_and_artist(tree):
    performance = load(tree).performances[0]
    assert performance.work == "Work_00"
    assert performance.title == "Work 00"
    assert performance.artist == "ar 0"


def test_files_that_the_lists_leave_out_are_counted_as_extra(tree):
    assert len(load(tree, convention="160").extra_files) == 4
    assert load(tree, convention="164").extra_files == ()


def test_missing_audio_is_named_in_every_convention(tree):
    (tree / "covers32k/Work_03/ar_3+Al_bum+01-Vol. 3.mp3").unlink()
    (tree / f"covers32k/{EXTRA[3]}.mp3").unlink()
    assert [p.name for p in load(tree).missing] == ["Work_03/ar_3+Al_bum+01-Vol. 3"]
    assert {p.name for p in load(tree, convention="164").missing} == {
        "Work_03/ar_3+Al_bum+01-Vol. 3",
        EXTRA[3],
    }


def test_junk_in_the_tree_is_extra_even_when_a_file_is_missing(tree):
    (tree / f"covers32k/{EXTRA[0]}.mp3").unlink()
    (tree / "covers32k/Work_01/my own cover.mp3").write_bytes(b"x")
    benchmark = load(tree, convention="164")
    assert [p.name for p in benchmark.missing] == [EXTRA[0]]
    assert [path.name for path in benchmark.extra_files] == ["my own cover.mp3"]


def test_audio_converted_to_another_format_is_found_and_mp3_wins(tree):
    mp3 = tree / "covers32k/Work_03/ar_3+Al_bum+01-Vol. 3.mp3"
    mp3.rename(mp3.with_suffix(".wav"))
    (tree / "covers32k/Work_04/ar_4+Al_bum+01-Vol. 4.flac").write_bytes(b"x")
    found = {p.name: p.path.suffix for p in load(tree).performances}
    assert found["Work_03/ar_3+Al_bum+01-Vol. 3"] == ".wav"
    assert found["Work_04/ar_4+Al_bum+01-Vol. 4"] == ".mp3"


def test_tree_with_other_names_has_its_164_files_from_the_folders(tmp_path):
    pairs = [[f"Wörk {i}/a+b+{k}" for k in (1, 2)] for i in range(80)]
    write_tree(tmp_path, pairs, [f"Wörk {i}/a+b+3" for i in range(4)])
    assert len(load(tmp_path, convention="164").performances) == 164


def test_wrong_count_is_refused_with_the_difference(tmp_path):
    pairs = [[f"Work_{i}/a+b+{k}" for k in (1, 2)] for i in range(79)]
    write_tree(tmp_path, pairs, [])
    with pytest.raises(BenchmarkError, match=r"hold 158 of 79 \(-2 and -1\)"):
        load(tmp_path)


def test_unknown_missing_file_of_the_164_is_refused_with_the_difference(tmp_path):
    pairs = [[f"Work_{i}/a+b+{k}" for k in (1, 2)] for i in range(80)]
    write_tree(tmp_path, pairs, ["Work_0/a+b+3"])
    with pytest.raises(BenchmarkError, match=r"should list 164 .* hold 161 .*\(-3 and \+0\)"):
        load(tmp_path, convention="164")


def test_lists_that_disagree_are_refused(tree):
    path = tree / "covers32k/list2.list"
    path.write_text(path.read_text().replace("Work_05/", "Work_99/"))
    with pytest.raises(BenchmarkError, match=r"disagree about 2, 'Work_05' first"):
        load(tree)


def test_name_in_both_lists_is_refused(tree):
    lists = [tree / f"covers32k/list{k}.list" for k in (1, 2)]
    lines = [path.read_text().splitlines() for path in lists]
    lists[1].write_text("\n".join([lines[0][0], *lines[1][1:]]))
    with pytest.raises(BenchmarkError, match="name 1 performances twice"):
        load(tree)


def test_line_without_a_folder_is_refused(tree):
    (tree / "covers32k/list1.list").write_text("just a name\n")
    with pytest.raises(BenchmarkError, match="line 1: expected `Work/artist"):
        load(tree)


def test_list_with_windows_line_ends_reads_the_same(tree):
    path = tree / "covers32k/list1.list"
    path.write_bytes(path.read_bytes().replace(b"\n", b" \r\n"))
    assert load(tree).missing == ()


def test_absent_list_says_what_was_expected_where(tree):
    (tree / "covers32k/list1.list").unlink()
    with pytest.raises(BenchmarkError, match=r"list1.list: no such file; covers80 expects"):
        load(tree)


def test_unreadable_list_is_one_sentence(tree):
    (tree / "covers32k/list1.list").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(BenchmarkError, match="cannot be read as UTF-8"):
        load(tree)


def test_unknown_convention_lists_the_choices(tree):
    with pytest.raises(BenchmarkError, match="choose one of 160, 164, 80x80"):
        load(tree, convention="161")


def test_unknown_benchmark_lists_the_names(tmp_path):
    with pytest.raises(
        BenchmarkError, match=r"no benchmark is called 'covers8'; there are: covers80"
    ):
        load_benchmark("covers8", tmp_path)


def test_names_of_the_larger_works_are_those_of_the_annotations(shared_data, tmp_path):
    text = (shared_data / "lists/covers80_annotations.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    by_work = {}
    for row in rows:
        by_work.setdefault(row["work_id"], []).append(f"{row['work_id']}/{row['track_id']}")
    write_tree(tmp_path, [sorted(names)[:2] for names in by_work.values()], [])
    missing = {p.name for p in load(tmp_path, convention="164").missing}
    assert missing == {name for names in by_work.values() for name in sorted(names)[2:]}
    assert CARD.expected["164"] == (len(rows), len(by_work))
