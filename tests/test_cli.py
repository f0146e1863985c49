"""Each command through the runner: answers on stdout, the rest on stderr, exit codes."""

import json
import wave
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import cli
from indexer import Catalog
from pemr import Embedder

RUNNER = CliRunner()


def run(*arguments: object):
    return RUNNER.invoke(cli.app, [str(a) for a in arguments])


def write_wav(path, samples, rate=16000):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def melody(pitches, transposition=0, note_s=0.5, seed=0):
    """A tune of decaying harmonic tones: (L,) at 16 kHz."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(16000 * note_s)) / 16000
    notes = []
    for pitch in pitches:
        hz = 440 * 2 ** ((pitch + transposition - 69) / 12)
        tone = sum(np.sin(2 * np.pi * hz * h * time) / h for h in (1, 2, 3))
        notes.append(tone * np.exp(-2 * time))
    wave_ = np.concatenate(notes)
    return 0.2 * wave_ + 0.001 * rng.standard_normal(wave_.size)


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Three works in two keys each, a silent file, a text file named .mp3, one second of tone."""
    folder = tmp_path_factory.mktemp("music")
    rng = np.random.default_rng(7)
    for work in range(3):
        tune = np.tile(rng.choice([60, 62, 64, 65, 67, 69, 71, 72], 24), 4)
        for performance, (shift, note_s) in enumerate([(0, 0.5), (3, 0.45)]):
            path = folder / f"work {work}" / f"{performance} 'take'.wav"
            write_wav(path, melody(tune, shift, note_s, seed=performance))
    write_wav(folder / "odd" / "silence.wav", np.zeros(16000 * 30))
    write_wav(folder / "odd" / "second.wav", melody([60], note_s=1.0))
    (folder / "odd" / "text.mp3").write_text("this is no music")
    return folder


@pytest.fixture(scope="module")
def catalog(music, tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalog")
    outcome = run("--quiet", "index", music, "--catalog", folder, "--embedder", "ftm2d", "--json")
    assert outcome.exit_code == 0, outcome.output
    return folder


def test_index_counts_what_it_did(music, tmp_path):
    first = run("index", music, "--catalog", tmp_path, "--embedder", "ftm2d", "--json")
    assert first.exit_code == 0, first.output
    counts = json.loads(first.stdout)
    assert (counts["added"], counts["skipped"], counts["unchanged"]) == (8, 1, 0)
    second = json.loads(run("index", music, "--catalog", tmp_path, "--json").stdout)
    assert (second["added"], second["skipped"], second["unchanged"]) == (0, 1, 8)


def test_index_takes_as_much_at_once_as_is_said(music, catalog, tmp_path, monkeypatch):
    seen = []
    really = Embedder._batches
    monkeypatch.setattr(
        Embedder,
        "_batches",
        lambda *given: (seen.append(len(one)) or one for one in really(*given)),
    )
    asked = ["--catalog", tmp_path / "other", "--embedder", "ftm2d", "--jobs", 1, "--batch-size", 2]
    assert run("index", music, *asked).exit_code == 0
    assert max(seen) == 2
    with Catalog.open(catalog) as first, Catalog.open(tmp_path / "other") as other:
        ids = [track.id for track in first.tracks()]
        pairs = zip(first.embeddings_of(ids), other.embeddings_of(ids), strict=True)
        assert all(np.allclose(one, again, atol=1e-6) for one, again in pairs)


def test_index_says_why_it_skipped(music, tmp_path):
    outcome = run("index", music, "--catalog", tmp_path, "--embedder", "ftm2d")
    assert outcome.exit_code == 0
    assert "text.mp3" in outcome.stderr


def test_strict_index_fails_on_a_bad_file(music, tmp_path):
    outcome = run("index", music, "--catalog", tmp_path, "--embedder", "ftm2d", "--strict")
    assert outcome.exit_code == 1


def test_search_finds_the_transposed_performance_first(music, catalog):
    query = music / "work 1" / "0 'take'.wav"
    outcome = run("search", query, "--catalog", catalog, "--json")
    assert outcome.exit_code == 0, outcome.output
    read = json.loads(outcome.stdout)
    assert read["verdict"] == "unknown"
    candidates = read["candidates"]
    assert candidates[0]["path"] == str(music / "work 1" / "1 'take'.wav")
    assert candidates[0]["transposition"] == 3
    assert str(query) not in [c["path"] for c in candidates]
    assert "silence.wav" not in outcome.stdout


def test_search_takes_a_file_outside_the_catalog(music, catalog, tmp_path):
    rng = np.random.default_rng(7)
    tune = np.tile(rng.choice([60, 62, 64, 65, 67, 69, 71, 72], 24), 4)
    write_wav(tmp_path / "query.wav", melody(tune, -2, 0.55))
    outcome = run("search", tmp_path / "query.wav", "--catalog", catalog, "--json", "--top", 2)
    assert {c["path"].split("/")[-2] for c in json.loads(outcome.stdout)["candidates"]} == {
        "work 0"
    }


@pytest.mark.parametrize(("form", "begins"), [("--csv", "rank,"), ("--m3u", "#EXTM3U")])
def test_search_prints_other_forms(music, catalog, form, begins):
    outcome = run("search", music / "work 0" / "0 'take'.wav", "--catalog", catalog, form)
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout.startswith(begins)


def test_search_prints_a_table(music, catalog):
    outcome = run("search", music / "work 0" / "0 'take'.wav", "--catalog", catalog)
    assert outcome.stdout.splitlines()[0].split()[:3] == ["rank", "score", "probability"]


def test_evaluate_measures_a_folder(music, tmp_path):
    outcome = run("evaluate", music, "--embedder", "ftm2d", "--out", tmp_path / "report")
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout.strip().splitlines()[-1].startswith("MAP ")


def test_info_and_list_describe_the_catalog(catalog):
    info = json.loads(run("info", "--catalog", catalog, "--json").stdout)
    assert info["tracks"] == 8
    assert info["embedder"].startswith("ftm2d@")
    assert len(json.loads(run("list", "--catalog", catalog, "--json").stdout)) == 8
    assert "torch" in run("info", "--system").stdout
    filtered = run("list", "--catalog", catalog, "--artist", "nobody", "--json")
    assert json.loads(filtered.stdout) == []
    assert run("list", "--catalog", catalog, "--year", "sixties").exit_code == 1
    assert run("list", "--catalog", catalog, "--added", "..1999", "--json").stdout == "[]\n"
    few = run("list", "--catalog", catalog, "--limit", 3, "--offset", 2, "--m3u")
    assert few.stdout.startswith("#EXTM3U")
    assert few.stdout.count("#EXTINF") == 3
    assert few.stderr == "3 of 8 tracks\n"


def test_list_and_search_choose_tracks_by_the_same_options(music, catalog):
    folder = music / "work 1"
    listed = json.loads(run("list", "--catalog", catalog, "--in", folder, "--json").stdout)
    assert {row["path"].rpartition("/")[0] for row in listed} == {str(folder)}
    query = music / "work 0" / "0 'take'.wav"
    found = run("search", query, "--catalog", catalog, "--in", folder, "--all", "--json").stdout
    answers = {row["path"] for row in json.loads(found)["candidates"]}
    assert answers == {row["path"] for row in listed}


def test_remove_forgets_a_track(music, tmp_path):
    run("index", music / "work 0", "--catalog", tmp_path, "--embedder", "ftm2d")
    assert run("remove", music / "work 0" / "0 'take'.wav", "--catalog", tmp_path).exit_code == 0
    assert len(json.loads(run("list", "--catalog", tmp_path, "--json").stdout)) == 1


def test_reembed_with_the_same_embedder_changes_nothing(music, tmp_path):
    run("index", music / "work 0", "--catalog", tmp_path, "--embedder", "ftm2d")
    outcome = run("reembed", "--catalog", tmp_path, "--embedder", "ftm2d")
    assert outcome.exit_code == 0, outcome.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("index", "{tmp}/absent"), "absent"),
        (("index", "{tmp}/empty"), "no audio"),
        (("search", "{tmp}/absent.mp3", "--catalog", "{catalog}"), "absent.mp3"),
        (("search", "{tmp}/text.mp3", "--catalog", "{catalog}"), "text.mp3"),
        (("search", "{music}/odd/silence.wav", "--catalog", "{catalog}"), "silent"),
        (("search", "{music}/odd/second.wav", "--catalog", "{tmp}/none"), "pemr index"),
        (("index", "{music}", "--catalog", "{catalog}", "--embedder", "nonsense"), "nonsense"),
        (("remove", "{tmp}/absent.mp3", "--catalog", "{catalog}"), "absent.mp3"),
        (("evaluate", "{tmp}/empty"), "empty"),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else value,
)
def test_bad_input_gets_one_sentence_and_exit_code_one(
    arguments, sentence, music, catalog, tmp_path
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp3").write_text("this is no music")
    places = {"tmp": tmp_path, "catalog": catalog, "music": music}
    filled = [a.format(**places) for a in arguments]
    if filled[0] == "index" and "--catalog" not in filled:
        filled += ["--catalog", str(tmp_path / "new")]
    outcome = run(*filled)
    assert outcome.exit_code == 1
    assert outcome.stdout == ""
    told = [line for line in outcome.stderr.splitlines() if line.startswith("pemr: ")]
    assert len(told) == 1
    assert sentence in told[0]


def test_usage_errors_exit_with_two():
    assert run("search").exit_code == 2
    assert run("index", "--no-such-option").exit_code == 2


def test_version_is_printed():
    assert run("--version").stdout.startswith("pemr 0.")


def test_an_interruption_exits_with_130(monkeypatch, catalog):
    from indexer import Catalog

    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Catalog, "open", interrupt)
    assert run("list", "--catalog", catalog).exit_code == 130


@pytest.fixture
def labelled(tmp_path):
    """Two works of two tunes each, a table of them, and vectors of another system."""
    rng = np.random.default_rng(3)
    rows, names = ["path,work"], []
    for work in "ab":
        tune = np.tile(rng.choice([60, 62, 64, 65, 67, 69, 71, 72], 24), 2)
        for shift in (0, 5):
            names.append(f"{work}{shift}.wav")
            write_wav(tmp_path / names[-1], melody(tune, shift, seed=shift))
            rows.append(f"{names[-1]},{work}")
    (tmp_path / "works.csv").write_text("\n".join([*rows, "gone.wav,b"]))
    np.savez(
        tmp_path / "peer.npz", ids=np.array(names), embeddings=[[1, 0], [1, 0], [0, 1], [0, 1]]
    )
    return tmp_path / "works.csv"


def test_benchmark_run_measures_and_writes_a_report_without_paths_of_this_machine(labelled):
    out = labelled.parent / "report"
    outcome = run(
        "benchmark", "run", "table", "--root", labelled, "--embedder", "ftm2d", "--out", out
    )
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout.splitlines()[-1].startswith("MAP ")
    text = "".join(path.read_text() for path in out.glob("*"))
    assert str(labelled.parent) not in text
    assert "pemr benchmark run table --root DATA/works.csv --embedder ftm2d" in text


def test_benchmark_run_scores_the_embeddings_of_another_system(labelled):
    peer = labelled.parent / "peer.npz"
    outcome = run("benchmark", "run", "table", "--root", labelled, "--embeddings", peer)
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout.splitlines()[-1] == "MAP 1.000  MR1 1.00  P@10 0.100  hit@1 1.000"


def test_benchmark_compare_says_what_changed(labelled):
    out = labelled.parent
    peer = out / "peer.npz"
    for folder in ("first", "second"):
        run(
            "benchmark",
            "run",
            "table",
            "--root",
            labelled,
            "--embeddings",
            peer,
            "--out",
            out / folder,
        )
    outcome = run("benchmark", "compare", out / "first/report.json", out / "second/report.json")
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout.splitlines()[-1].startswith("0 of 4 queries changed")
    reports = (out / "first/report.json", out / "second/report.json")
    read = json.loads(run("benchmark", "compare", *reports, "--json").stdout)
    assert (read["queries"], read["changed"]) == (4, [])
    assert read["differences"]["MAP"]["value"] == 0


def test_benchmark_run_reads_the_chroma_of_da_tacos(tmp_path, monkeypatch):
    h5py = pytest.importorskip("h5py")
    from retrieval.benchmarks import datacos

    card = replace(datacos.CARD, expected={"benchmark": (4, 2)})
    monkeypatch.setattr(datacos, "CARD", card)
    metadata = {}
    for work in ("W_1", "W_2"):
        chords = np.random.default_rng(int(work[2:])).random((30, 12)) ** 4
        for shift, name in enumerate((f"P_{work[2:]}0", f"P_{work[2:]}1")):
            metadata.setdefault(work, {})[name] = {"work_id": work, "perf_id": name}
            path = tmp_path / f"da-tacos_benchmark_subset_hpcp/{work}_hpcp/{name}_hpcp.h5"
            path.parent.mkdir(parents=True, exist_ok=True)
            with h5py.File(path, "w") as file:
                file["hpcp"] = np.roll(np.repeat(chords, 120, axis=0), 5 * shift, axis=1)
    path = tmp_path / "da-tacos_benchmark_subset_metadata.json"
    path.write_text(json.dumps(metadata))
    outcome = run("benchmark", "run", "datacos", "--root", tmp_path, "--embedder", "ftm2d")
    assert outcome.exit_code == 0, outcome.output
    assert "ftm2d@r1, alignment of the best 100" in outcome.stdout
    assert outcome.stdout.startswith("datacos benchmark hpcp (")
    assert outcome.stdout.splitlines()[-1].startswith("MAP 1.000  MR1 1.00")


def test_benchmark_excerpts_measures_every_length(labelled):
    out = labelled.parent / "excerpts.json"
    outcome = run(
        "benchmark", "excerpts", "table", "--root", labelled, "--embedder", "ftm2d", "--out", out
    )
    assert outcome.exit_code == 0, outcome.output
    rows = json.loads(out.read_text())["rows"]
    assert {row["tau (s)"] for row in rows} == {"5", "10", "20", "30", "40", "60", "90"}
    assert {row["protocol"] for row in rows} == {"best-match", "random-segment"}


def test_benchmark_missing_lists_what_is_absent(labelled):
    outcome = run("benchmark", "missing", "table", "--root", labelled, "--json")
    assert [row["name"] for row in json.loads(outcome.stdout)] == ["gone.wav"]
    assert "1 of 5 performances are missing" in outcome.stderr


def test_benchmark_list_names_every_data_set_with_its_licence():
    rows = json.loads(run("benchmark", "list", "--json").stdout)
    assert {row["name"] for row in rows} >= {"covers80", "shs100k", "datacos", "discogs_vi"}
    assert all(row["licence"] and row["source"] for row in rows)
    numbers = {row["name"]: row["performances"] for row in rows}
    assert (numbers["shs100k"], numbers["discogs_vi"], numbers["folder"]) == (
        "10547",
        "not checked",
        "any",
    )


def test_ranking_by_nothing_is_refused(labelled):
    flags = ("--only", "alignment", "--without", "alignment")
    outcome = run("benchmark", "run", "table", "--root", labelled, "--embedder", "ftm2d", *flags)
    assert outcome.exit_code == 1
    assert "nothing is left to rank by" in outcome.stderr


def test_alignment_alone_is_measured_without_naming_an_embedder(labelled):
    arguments = ("--root", labelled, "--embedder", "ftm2d", "--only", "alignment")
    outcome = run("benchmark", "run", "table", *arguments)
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout.splitlines()[0] == (
        f"table ({labelled.parent.name}): alignment of every candidate"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("run", "covers81", "--root", "."), "no benchmark is called 'covers81'"),
        (("run", "covers80", "--root", "absent"), "no such folder; covers80 expects"),
        (("missing", "shs100k", "--root", "."), "no such file; shs100k expects"),
        (("run", "table", "--root", "works.csv", "--subset", "x"), "no subsets to choose from"),
        (("run", "table", "--root", "works.csv", "--embeddings", "odd.npz"), "not in table, 'x'"),
        (("run", "table", "--root", "works.csv", "--embeddings", "no.npz"), "cannot be read"),
        (("compare", "works.csv", "works.csv"), "not a report of this program"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_benchmark_gives_bad_input_one_sentence(labelled, monkeypatch, arguments, sentence):
    monkeypatch.chdir(labelled.parent)
    np.savez("odd.npz", ids=np.array(["x"]), embeddings=np.ones((1, 2)))
    outcome = run("benchmark", *arguments)
    assert outcome.exit_code == 1
    assert outcome.stdout == ""
    assert sentence in " ".join(outcome.stderr.split())


def test_quiet_says_nothing_but_answers(music, tmp_path):
    outcome = run("-q", "index", music / "odd", "--catalog", tmp_path, "--embedder", "ftm2d")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert "skipped" in outcome.stdout


def test_an_escape_in_a_name_is_shown_as_one(music, tmp_path):
    odd = tmp_path / "odd \x1b[31m\n1  1.000.mp3"
    odd.write_text("this is no music")
    outcome = run("index", tmp_path, "--catalog", tmp_path / "c", "--embedder", "ftm2d")
    assert "\x1b" not in outcome.stderr
    assert [line for line in outcome.stderr.splitlines() if line.startswith("skipped ")] == [
        f"skipped {tmp_path}/odd \\x1b[31m\\n1  1.000.mp3: not a readable audio file"
    ]
