"""SHS100K on stand-in trees with its exact layout, and on the genuine lists where they are."""

from dataclasses import replace

import numpy as np
import pytest

from retrieval.benchmarks import shs100k
from retrieval.benchmarks.shs100k import CARD, load
from retrieval.errors import BenchmarkError

ADDRESS = "https://www.youtube.com/watch?v="
SPLIT = [("3", "0"), ("3", "1"), ("3", "17"), ("40", "2"), ("40", "5")]
LIST = [
    ["3", "0", "Summertime", "Abbie Mitchell", ADDRESS + "TMHWEcSKEPI", "True"],
    ["3", "1", "One\tTwo", 'Eddie "Lockjaw" Davis', ADDRESS + "-_9JctRqcDs", "True"],
    ["3", "17", "Bess, You Is; My Woman", "George Feyer", ADDRESS + "70gpOMRWjg8", "False"],
    ["40", "2", '"Heroes', "Bowie", ADDRESS + "NytUFajJ66Q", "True"],
    ["40", "5", "Señor ♪", "X", ADDRESS + "MD11HICT2sw", "True"],
    ["41", "0", "Not in the split", "Y", ADDRESS + "MD11HICT2sx", "True"],
]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A root with the lists in `meta`, as in the repository, and audio in both layouts."""
    small = {name: (len(SPLIT), 2) for name in CARD.subsets}
    monkeypatch.setattr(shs100k, "CARD", replace(CARD, expected=small, checksums={}))
    meta = tmp_path / "meta"
    meta.mkdir()
    (meta / "SHS100K-TEST").write_text("".join(f"{s}\t{v}\n" for s, v in SPLIT))
    np.save(meta / "SHS_TEST_SUB.npy", np.array([f"{s}_{v}" for s, v in SPLIT]))
    (meta / "list").write_text("".join("\t".join(quoted(row, "\t")) + "\n" for row in LIST))
    for name in ("3_0.mp3", "audio/-_9JctRqcDs.webm", "audio/40/40_2.m4a", "audio/99_9.mp3"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def quoted(row, delimiter):
    return [f'"{cell}"' if delimiter in cell else cell for cell in row]


def test_audio_is_found_by_name_and_by_youtube_id(tree):
    found = {
        p.name: p.path.relative_to(tree).as_posix() if p.path else None
        for p in load(tree).performances
    }
    assert found == {
        "3_0": "3_0.mp3",
        "3_1": "audio/-_9JctRqcDs.webm",
        "3_17": None,
        "40_2": "audio/40/40_2.m4a",
        "40_5": None,
    }


def test_missing_audio_has_its_address(tree):
    missing = load(tree).missing
    assert [(p.name, p.address) for p in missing] == [
        ("3_17", ADDRESS + "70gpOMRWjg8"),
        ("40_5", ADDRESS + "MD11HICT2sw"),
    ]


def test_audio_that_no_list_names_is_counted(tree):
    assert [path.name for path in load(tree).extra_files] == ["99_9.mp3"]


def test_quoted_separators_and_stray_quotes_are_read(tree):
    by_name = {p.name: p for p in load(tree).performances}
    assert by_name["3_1"].title == "One\tTwo"
    assert by_name["3_1"].artist == 'Eddie "Lockjaw" Davis'
    assert by_name["3_17"].title == "Bess, You Is; My Woman"
    assert by_name["40_2"].title.lstrip('"') == "Heroes"
    assert by_name["40_5"].title == "Señor ♪"


def test_list_with_semicolons_and_row_numbers_reads_the_same(tree):
    expected = load(tree).performances
    lines = [";".join([str(i), *semicolon(row)]) for i, row in enumerate(LIST)]
    (tree / "meta/list").write_text("\n".join(lines))
    assert load(tree).performances == expected


def semicolon(row):
    doubled = [cell.replace('"', '""') for cell in row]
    return [f'"{cell}"' if ";" in cell or '"' in cell else cell for cell in doubled]


def test_list_with_a_header_gives_addresses_too(tree):
    (tree / "meta/list").unlink()
    rows = [f"{s};{v};{'y' * 11};Title;Performer;True;True;True;True" for s, v in SPLIT]
    header = "set_id;ver_id;yt_id;title;performer;has_file;has_cqt_ch;has_cqt_20;has_crema"
    (tree / "meta/shs100k2_test.csv").write_text("\n".join([header, *rows]))
    assert load(tree).performances[0].address == ADDRESS + "y" * 11


def test_without_a_list_audio_is_found_by_name_alone(tree):
    (tree / "meta/list").unlink()
    assert [p.name for p in load(tree).present] == ["3_0", "40_2"]


def test_sub_is_read_from_its_array(tree):
    benchmark = load(tree, subset="TEST_SUB")
    assert benchmark.subset == "TEST_SUB"
    assert [p.work for p in benchmark.performances] == ["3", "3", "3", "40", "40"]


def test_lists_that_disagree_are_refused(tree):
    path = tree / "meta/list"
    path.write_text("\n".join(path.read_text().splitlines()[1:]))
    with pytest.raises(
        BenchmarkError, match=r"names 1 performances that `list` does not hold, '3_0'"
    ):
        load(tree)


def test_unquoted_separator_names_its_line(tree):
    path = tree / "meta/list"
    path.write_text(path.read_text().replace("Abbie", "Abbie\t"))
    with pytest.raises(BenchmarkError, match="line 1: expected 6 fields, found 7"):
        load(tree)


def test_wrong_count_is_refused_with_the_difference(tree):
    path = tree / "meta/SHS100K-TEST"
    path.write_text("3\t0\n3\t1\n")
    with pytest.raises(BenchmarkError, match=r"should list 5 .* hold 2 of 1 \(-3 and -1\)"):
        load(tree)


def test_right_count_with_other_names_is_refused(tree, monkeypatch):
    monkeypatch.setattr(shs100k, "CARD", replace(shs100k.CARD, checksums={"TEST": "0" * 64}))
    with pytest.raises(BenchmarkError, match="not the published performances"):
        load(tree)


def test_name_listed_twice_is_refused(tree):
    path = tree / "meta/SHS100K-TEST"
    path.write_text(path.read_text() + "3\t0\n")
    with pytest.raises(BenchmarkError, match="name 1 performances twice, '3_0' first"):
        load(tree)


@pytest.mark.parametrize("line", ["3", "3\tx", "a b c", "3;0"])
def test_malformed_split_names_its_entry(tree, line):
    path = tree / "meta/SHS100K-TEST"
    path.write_text(f"3\t0\n{line}\n")
    with pytest.raises(BenchmarkError, match=r"entry 2: .* is no set with a version"):
        load(tree)


def test_array_that_is_none_is_refused(tree):
    (tree / "meta/SHS_TEST_SUB.npy").write_bytes(b"no array")
    with pytest.raises(BenchmarkError, match="not an array of names"):
        load(tree, subset="TEST_SUB")


def test_wrong_root_says_what_was_expected_where(tmp_path):
    with pytest.raises(
        BenchmarkError, match=r"SHS100K-TEST: no such file; shs100k expects `SHS100K"
    ):
        load(tmp_path)


def test_unknown_subset_lists_the_choices(tree):
    with pytest.raises(BenchmarkError, match="choose one of TEST, VAL, TRAIN"):
        load(tree, subset="DEV")


@pytest.mark.parametrize("subset", CARD.subsets)
def test_genuine_lists_have_the_published_counts_and_checksums(shared_data, subset):
    benchmark = load(shared_data / "lists", subset)
    assert len(benchmark.performances) == CARD.expected[subset][0]
    assert len(benchmark.missing) == len(benchmark.performances)


def test_genuine_rows_of_the_list_are_read(shared_data, tmp_path, monkeypatch):
    text = (shared_data / "lists/shs100k_list_sample.csv").read_text()
    (tmp_path / "list").write_text(text)
    listed = shs100k._read_list(tmp_path, "TEST")
    assert len(listed) == len(text.splitlines())
    assert all(row.youtube_id for row in listed.values())
    medley = listed["0_320"]
    assert medley.title.startswith("Summertime; It Ain't Necessarily So; Bess")
    assert medley.artist == "George Feyer"
