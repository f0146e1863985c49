#!/usr/bin/env python
"""Feed readers with inputs that hypothesis changes, for so long each, and say what it found.

    scripts/bench/fuzz.py [TARGET ...] [--minutes 10] [--seed 0] [--out STEM]

A reader may answer or raise an error of its room; anything else is a find, shown with the input
that hypothesis has shrunk it to. With --out, the figures are written to STEM.md and STEM.json.
"""

import argparse
import contextlib
import io
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from kill_index import provenance
from zoo import encode, sound

from indexer import IndexerError
from pemr import PemrError
from retrieval import RetrievalError

_AT_ONCE = 1000  # inputs before the clock is looked at
EXPECTED = (IndexerError, PemrError, RetrievalError)

Edit = tuple[float, bytes]
EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.one_of(st.binary(min_size=1, max_size=4), st.just(b""))),
    min_size=1,
    max_size=8,
)
"""Where bytes are replaced, as a share of the length; no bytes mean that the rest is cut off."""

TEXTS = st.one_of(
    st.text(max_size=40),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
        max_leaves=6,
    ).map(json.dumps),
)


def edited(content: bytes, edits: Sequence[Edit]) -> bytes:
    """Apply edits to a valid file."""
    changed = bytearray(content)
    for place, piece in edits:
        at = int(place * len(changed))
        changed[at : at + len(piece) if piece else None] = piece
    return bytes(changed)


def audio(folder: Path, names: Sequence[tuple[str, str]]) -> list[Path]:
    """Write a second and a half of music in several formats."""
    made = []
    for name, codec in names:
        rate = 48_000 if codec == "libopus" else 44_100
        encode(folder / name, codec, sound(np.random.default_rng(0), 1.5, rate), rate, "mono")
        made.append(folder / name)
    return made


def fuzz_scan(folder: Path) -> Callable[..., None]:
    """Names and contents of files in a folder."""
    from indexer import AudioFile, find_audio

    names = st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=5)

    @given(names, st.sampled_from([b".mp3", b".wav", b".flac", b""]), st.binary(max_size=200))
    def test(parts: list[bytes], suffix: bytes, content: bytes) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as top:
            for part in parts:
                name = part.replace(b"/", b"_").replace(b"\0", b"_") + suffix
                with contextlib.suppress(OSError):
                    (Path(top) / os.fsdecode(name)).write_bytes(content)
            with contextlib.suppress(*EXPECTED):
                for found in find_audio([Path(top)]):
                    if isinstance(found, AudioFile):
                        found.hashed()

    return test


def fuzz_tags(folder: Path) -> Callable[..., None]:
    """Bytes of tags and headers."""
    import av

    from indexer.tags import read_tags

    seeds = []
    for path in audio(folder, [("a.mp3", "libmp3lame"), ("a.flac", "flac"), ("a.m4a", "aac")]):
        tagged = path.with_name(f"tagged{path.suffix}")
        with av.open(str(path)) as source, av.open(str(tagged), "w") as out:
            out.metadata.update(title="A tune", artist="Somebody é", album="日本")
            stream = out.add_stream_from_template(source.streams.audio[0])
            for packet in source.demux(source.streams.audio[0]):
                if packet.dts is not None:
                    packet.stream = stream
                    out.mux(packet)
        seeds.append((tagged.suffix, tagged.read_bytes()[:6000]))

    @given(st.sampled_from(seeds), EDITS)
    def test(chosen: tuple[str, bytes], edits: list[Edit]) -> None:
        path = folder / f"fuzzed{chosen[0]}"
        path.write_bytes(edited(chosen[1], edits))
        found = read_tags(path)
        for text in (found.title, found.artist, found.album):
            assert text is None or (text.isprintable() or not text.isascii())

    return test


def fuzz_time_stamps(folder: Path) -> Callable[..., None]:
    """Containers whose packets carry time stamps."""
    from pemr.signal.audio import blocks

    logging.disable()  # of damage, which every other input has
    formats = [("a.mka", "libopus"), ("a.ts", "aac"), ("a.mp4", "aac"), ("a.ogg", "libopus")]
    seeds = [(path.suffix, path.read_bytes()) for path in audio(folder, formats)]

    @given(st.sampled_from(seeds), EDITS)
    def test(chosen: tuple[str, bytes], edits: list[Edit]) -> None:
        path = folder / f"fuzzed{chosen[0]}"
        path.write_bytes(edited(chosen[1], edits))
        with contextlib.suppress(*EXPECTED):
            n_samples = sum(len(block) for block in blocks(path))
            assert n_samples < 16_000 * 200, "time stamps made more than three minutes"

    return test


def fuzz_manifests(folder: Path) -> Callable[..., None]:
    """Manifests of a corpus."""
    from pemr.training.cliques import read_manifest

    np.save(folder / "a.npy", np.zeros((84, 50), np.uint8))
    passage = {"kind": "tune", "start_s": 1.0, "end_s": 5.0, "start_beat": 0}
    row = {"spectrogram": "a.npy", "work": "w", "source": "s", "passages": [passage]}
    row["time_map"] = [[0, 0], [8, 9]]
    valid = (json.dumps(row) + "\n").encode()

    @given(st.one_of(EDITS.map(lambda edits: edited(valid, edits)), TEXTS.map(str.encode)))
    def test(content: bytes) -> None:
        (folder / "manifest.jsonl").write_bytes(content)
        with contextlib.suppress(*EXPECTED):
            read_manifest(folder / "manifest.jsonl")

    return test


def fuzz_csvs(folder: Path) -> Callable[..., None]:
    """Tables of users: labels, cliques, works."""
    from indexer.labels import read_labels
    from pemr.training.cliques import read_cliques
    from retrieval import load_benchmark

    valid = b"path,work,clique,file\na.wav,Ode,Ode,a.npz\nb.wav,Ode,Ode,b.npz\n"
    readers = [
        lambda path: list(read_labels(path)),
        lambda path: read_cliques(path, folder / "cache", 1),
        lambda path: load_benchmark("table", path),
        lambda path: load_benchmark("packed", path.parent),
    ]

    @given(
        st.sampled_from(readers),
        st.one_of(EDITS.map(lambda edits: edited(valid, edits)), st.text(max_size=80).map(_bytes)),
    )
    def test(read: Callable[[Path], object], content: bytes) -> None:
        (folder / "cliques.csv").write_bytes(content)
        with contextlib.suppress(*EXPECTED):
            read(folder / "cliques.csv")

    return test


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def fuzz_embeddings(folder: Path) -> Callable[..., None]:
    """Other people's embeddings, in .npz and .h5."""
    import h5py

    from retrieval.measuring.foreign import read_embeddings

    arrays = {"ids": np.array(["a", "b"]), "embeddings": np.eye(2, dtype=np.float32)}
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    with h5py.File(folder / "a.h5", "w") as file:
        file["ids"], file["embeddings"] = np.array([b"a", b"b"]), arrays["embeddings"]
    seeds = [(".npz", packed.getvalue()), (".h5", (folder / "a.h5").read_bytes())]

    @given(st.sampled_from(seeds), EDITS)
    def test(chosen: tuple[str, bytes], edits: list[Edit]) -> None:
        path = folder / f"fuzzed{chosen[0]}"
        path.write_bytes(edited(chosen[1], edits))
        with contextlib.suppress(*EXPECTED):
            read_embeddings(path)

    return test


def fuzz_checkpoints(folder: Path) -> Callable[..., None]:
    """Files of a checkpoint."""
    import torch

    from pemr.model.checkpoint import Checkpoint, load, load_trained, save
    from pemr.presets import tiny

    model = torch.nn.Linear(3, 2)
    optimiser = torch.optim.Adam(model.parameters())
    made = Checkpoint(
        config=tiny(), step=1, weights=model.state_dict(), optimiser=optimiser.state_dict(),
        randomness={"seed": 1}, data="a",
    )  # fmt: skip
    save(folder / "valid", made)
    files = {path.name: path.read_bytes() for path in (folder / "valid").iterdir()}
    readers = [load_trained, load, lambda path: load(path, with_optimiser=True)]

    @given(st.sampled_from(sorted(files)), EDITS, st.sampled_from(readers))
    def test(name: str, edits: list[Edit], read: Callable[[Path], object]) -> None:
        for other, content in files.items():
            changed = edited(content, edits) if other == name else content
            (folder / "valid" / other).write_bytes(changed)
        with contextlib.suppress(*EXPECTED):
            read(folder / "valid")

    return test


TARGETS = {
    name.removeprefix("fuzz_"): target
    for name, target in list(globals().items())
    if name.startswith("fuzz_")
}


def hunt(target: Callable[[Path], Any], minutes: float, first_seed: int) -> tuple[int, str]:
    """Run one target for some time; how many inputs it had, and what was found."""
    n_inputs = 0
    chosen = settings(
        max_examples=_AT_ONCE, deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck), print_blob=False, derandomize=False,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as work:
        until_s = time.monotonic() + 60 * minutes
        while time.monotonic() < until_s:
            try:
                with tempfile.TemporaryDirectory(dir=work) as folder:
                    seed(first_seed + n_inputs)(chosen(target(Path(folder))))()
            except Exception as error:
                notes = " ".join(getattr(error, "__notes__", []))
                return n_inputs, " ".join(f"{error!r} {notes}".split())[:900]
            n_inputs += _AT_ONCE
    return n_inputs, ""


def main() -> None:
    """Parse, hunt, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)}; all where none")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write STEM.md and STEM.json")
    options = parser.parse_args()
    found: dict[str, str | int] = {}
    n_finds = 0
    for name in options.targets or TARGETS:
        n_inputs, find = hunt(TARGETS[name], options.minutes, options.seed)
        n_finds += bool(find)
        found[name] = find or f"{n_inputs} inputs, nothing found"
        print(f"- {name}: {found[name]}", flush=True)
    found |= provenance()
    found["command"] = str(found["command"]).replace("kill_index", "fuzz")
    if options.out is not None:
        lines = [f"- {name}: {fact}" for name, fact in found.items()]
        options.out.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
        options.out.with_suffix(".md").write_text("\n".join(["# Fuzzing\n", *lines, ""]))
    sys.exit(bool(n_finds))


if __name__ == "__main__":
    main()
