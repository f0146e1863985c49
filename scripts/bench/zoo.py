#!/usr/bin/env python
"""Make hundreds of odd files from a seed, index them, ask with each, and count what went wrong.

    scripts/bench/zoo.py [--files 320] [--seed 0] [--keep FOLDER] [--out STEM]

What must be: no traceback, one sentence for each bad file, the length of each good file within
0.1 s of the truth, bounded memory. With --out, the figures are written to STEM.md and STEM.json.
"""

import argparse
import io
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))

import av
import numpy as np
from kill_index import provenance
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
TOLERANCE_S = 0.1

CODECS = (
    ("flac", "flac"), ("wav", "pcm_s16le"), ("wav", "pcm_u8"), ("wav", "pcm_s24le"),
    ("wav", "pcm_f32le"), ("wav", "pcm_f64le"), ("wav", "pcm_alaw"), ("wav", "adpcm_ms"),
    ("wav", "adpcm_ima_wav"), ("w64", "pcm_s16le"), ("caf", "pcm_s16be"), ("aiff", "pcm_s16be"),
    ("au", "pcm_s16be"), ("mp3", "libmp3lame"), ("mp2", "mp2"), ("m4a", "aac"), ("m4a", "alac"),
    ("aac", "aac"), ("opus", "libopus"), ("mka", "libopus"), ("mka", "pcm_s16le"),
    ("tta", "tta"), ("wv", "wavpack"), ("ac3", "ac3"), ("eac3", "eac3"), ("avi", "libmp3lame"),
    ("ts", "aac"), ("mp4", "aac"), ("mov", "alac"), ("ogg", "flac"), ("ogg", "libopus"),
)  # fmt: skip
"""Suffix and codec of what FFmpeg in the wheel writes."""

RATES = (8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000)
FIXED_RATES = {
    "libopus": (48_000,), "aac": RATES[4:7], "libmp3lame": RATES[2:7], "mp2": RATES[2:7],
    "ac3": RATES[4:7], "eac3": RATES[4:7],
}  # fmt: skip
LAYOUTS = {"mono": 1, "stereo": 2, "5.1": 6}


@dataclass(frozen=True)
class Animal:
    """A file of the zoo.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        What was done to it.
    duration_s : float or None
        How long it is in truth; None where it is damaged, or no music at all.
    """

    path: Path
    kind: str
    duration_s: float | None


def sound(rng: np.random.Generator, duration_s: float, rate: int) -> NDArray[np.float32]:
    """Draw a tune of decaying notes, (L,)."""
    time = np.arange(round(duration_s * rate)) / rate
    tune = np.zeros_like(time)
    for start_s in np.arange(0, duration_s, 0.4):
        hz = 220 * 2 ** (rng.choice([0, 2, 4, 5, 7, 9, 11, 12]) / 12)
        since = time - start_s
        for partial in (1, 2, 3):
            note = np.sin(2 * np.pi * hz * partial * since) * np.exp(-3 * since) / partial
            tune += np.where(since >= 0, note, 0)
    return (0.2 * tune + 0.002 * rng.standard_normal(len(time))).astype(np.float32)


def encode(path: Path, codec: str, waveform: NDArray[np.float32], rate: int, layout: str) -> float:
    """Write a waveform; returns its length in seconds: a file of blocks names no rest of one."""
    channels = np.repeat(waveform[None], LAYOUTS[layout], axis=0)
    channels[1:] *= 0.9
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate)
        stream.layout = layout
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels), "fltp", layout)
        frame.sample_rate = rate
        cut = av.AudioResampler(stream.format.name, layout, rate, stream.frame_size or 1024)
        for piece in (*cut.resample(frame), *cut.resample(None), None):
            out.mux(stream.encode(piece))
        block = stream.frame_size if codec.startswith("adpcm") else 1
    return -(-len(waveform) // block) * block / rate


class Zoo:
    """Makes the files.

    Parameters
    ----------
    folder : Path
        Where to write.
    seed : int
        Another seed, other files.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._rng = np.random.default_rng(seed)
        self._n_made = 0
        folder.mkdir(parents=True, exist_ok=True)

    def animals(self, n_files: int) -> Iterator[Animal]:
        """Make so many files, of every kind in turn."""
        kinds = (*self.GOOD, *self.BAD)
        for place in range(n_files):
            yield kinds[place % len(kinds)](self)

    def _path(self, suffix: str) -> Path:
        self._n_made += 1
        return self._folder / f"{self._n_made:04d}.{suffix}"

    def _music(self, change: Callable[[NDArray[np.float32]], object] | None = None) -> Animal:
        suffix, codec = CODECS[int(self._rng.integers(len(CODECS)))]
        rate = int(self._rng.choice(FIXED_RATES.get(codec, RATES)))
        layout = str(self._rng.choice(["mono", "stereo"]))
        waveform = sound(self._rng, float(self._rng.uniform(2.0, 5.0)), rate)
        if change is not None:
            change(waveform)
        path = self._path(suffix)
        try:
            return Animal(path, codec, encode(path, codec, waveform, rate, layout))
        except av.error.FFmpegError:  # not every codec takes every rate
            path.unlink(missing_ok=True)
            return self._music(change)

    def plain(self) -> Animal:
        """Any codec, any rate."""
        return self._music()

    def surround(self) -> Animal:
        """Six channels."""
        path = self._path("flac")
        waveform = sound(self._rng, 3.0, 44_100)
        return Animal(path, "surround", encode(path, "flac", waveform, 44_100, "5.1"))

    def odd_rate(self) -> Animal:
        """A WAV of a rate that nobody uses."""
        path, rate = self._path("wav"), int(self._rng.integers(4_000, 100_000))
        waveform = sound(self._rng, 3.0, rate)
        return Animal(path, "odd rate", encode(path, "pcm_s16le", waveform, rate, "mono"))

    def clicks(self) -> Animal:
        """Samples at full scale."""

        def click(waveform: NDArray[np.float32]) -> None:
            waveform[self._rng.integers(0, len(waveform), 50)] = 1.0

        return self._music(click)

    def offset(self) -> Animal:
        """A constant added to all of it."""

        def add(waveform: NDArray[np.float32]) -> None:
            waveform += np.float32(0.5)

        return self._music(add)

    def no_number(self) -> Animal:
        """Floats that are infinite, or no numbers."""
        path = self._path("wav")
        waveform = sound(self._rng, 3.0, 44_100)
        waveform[self._rng.integers(0, len(waveform), 99)] = np.nan
        waveform[self._rng.integers(0, len(waveform), 99)] = np.inf
        return Animal(path, "no number", encode(path, "pcm_f32le", waveform, 44_100, "mono"))

    def silence(self) -> Animal:
        """Nothing to be heard."""
        path = self._path("flac")
        waveform = np.zeros(44_100 * 3, np.float32)
        return Animal(path, "silence", encode(path, "flac", waveform, 44_100, "mono"))

    def moment(self) -> Animal:
        """A tenth of a second."""
        path = self._path("wav")
        waveform = sound(self._rng, 0.1, 44_100)
        return Animal(path, "moment", encode(path, "pcm_s16le", waveform, 44_100, "mono"))

    def wrong_suffix(self) -> Animal:
        """Named as another format."""
        made = self._music()
        path = made.path.with_suffix(str(self._rng.choice([".mp3", ".flac", ".ogg", ".wav"])))
        made.path.rename(path)
        return Animal(path, "wrong suffix", made.duration_s)

    def tag_block(self) -> Animal:
        """Megabytes of tags before the sound."""
        path = self._path("mp3")
        waveform = sound(self._rng, 3.0, 44_100)
        duration_s = encode(path, "libmp3lame", waveform, 44_100, "mono")
        size = int(self._rng.integers(1, 4)) << 20
        frame = b"PRIV" + struct.pack(">I", size) + bytes(2) + self._rng.bytes(size)
        n_bytes = len(frame)
        length = bytes((n_bytes >> shift) & 127 for shift in (21, 14, 7, 0))
        path.write_bytes(b"ID3\x03\0\0" + length + frame + path.read_bytes())
        return Animal(path, "tag block", duration_s)

    def odd_name(self) -> Animal:
        """Names that terminals and shells obey, and bytes that are no text."""
        made = self._music()
        odd = [
            "b\x1b[31mred",
            "two\nlines",
            "gpj.\u202e3",
            "bell\x07",
            "-n",
            "%s %d",
            "a:b",
            "' \"$(x)",
        ]
        name = [*odd, os.fsdecode(b"caf\xe9")][int(self._rng.integers(len(odd) + 1))]
        path = made.path.with_name(f"{made.path.stem} {name}{made.path.suffix}")
        made.path.rename(path)
        return Animal(path, "odd name", made.duration_s)

    def truncated(self) -> Animal:
        """Only its beginning."""
        made = self._music()
        content = made.path.read_bytes()
        made.path.write_bytes(content[: int(len(content) * self._rng.uniform(0.02, 0.95))])
        return Animal(made.path, "truncated", None)

    def flipped(self) -> Animal:
        """Some bits are others."""
        made = self._music()
        content = bytearray(made.path.read_bytes())
        for place in self._rng.integers(0, len(content), int(self._rng.integers(1, 200))):
            content[place] ^= 1 << int(self._rng.integers(8))
        made.path.write_bytes(content)
        return Animal(made.path, "flipped", None)

    def flipped_header(self) -> Animal:
        """Some bits of the first kilobyte are others."""
        made = self._music()
        content = bytearray(made.path.read_bytes())
        for place in self._rng.integers(0, min(1024, len(content)), 12):
            content[place] = int(self._rng.integers(256))
        made.path.write_bytes(content)
        return Animal(made.path, "flipped header", None)

    def swapped_header(self) -> Animal:
        """The beginning of one file, the rest of another."""
        made, other = self._music(), self._music()
        n_bytes = int(self._rng.integers(16, 600))
        made.path.write_bytes(other.path.read_bytes()[:n_bytes] + made.path.read_bytes()[n_bytes:])
        other.path.unlink()
        return Animal(made.path, "swapped header", None)

    def hole(self) -> Animal:
        """Zeros where a disk lost a block."""
        made = self._music()
        content = bytearray(made.path.read_bytes())
        start = int(self._rng.integers(0, len(content)))
        content[start : start + 8192] = bytes(len(content[start : start + 8192]))
        made.path.write_bytes(content)
        return Animal(made.path, "hole", None)

    def foreign(self) -> Animal:
        """No music at all, in a name of music."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("a.txt", "text")
        contents = (
            b"", b"plain text\n" * 99, packed.getvalue(), self._rng.bytes(50_000), bytes(50_000),
            b"<html><body>404</body></html>", b"#EXTM3U\n/etc/passwd\n",
            b"ffconcat version 1.0\nfile 0001.flac\n", b"\x89PNG\r\n\x1a\n" + bytes(99),
            b"RIFF\xff\xff\xff\xffWAVEfmt ", b"ID3\x04\0\0\x7f\x7f\x7f\x7f", b"fLaC", b"OggS" * 30,
        )  # fmt: skip
        path = self._path(str(self._rng.choice(["mp3", "wav", "flac", "ogg", "m4a", "opus"])))
        path.write_bytes(contents[int(self._rng.integers(len(contents)))])
        return Animal(path, "foreign", None)

    GOOD = (
        plain, surround, odd_rate, clicks, offset, no_number, silence, moment, wrong_suffix,
        tag_block, odd_name, plain,
    )  # fmt: skip
    BAD = (truncated, flipped, flipped_header, swapped_header, hole, foreign, truncated)


def pemr(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command of ours."""
    command = [sys.executable, str(ROOT / "cli.py"), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, errors="surrogateescape"
    )


def ask(catalog: Path, animals: list[Animal]) -> Iterator[tuple[Animal, str, BaseException | None]]:
    """Ask with each file in this process: what was said, and what was not caught."""
    from typer.testing import CliRunner

    import cli

    for animal in animals:
        done = CliRunner().invoke(
            cli.app, ["search", str(animal.path), "--catalog", str(catalog), "--json"]
        )
        uncaught = None if isinstance(done.exception, SystemExit) else done.exception
        yield animal, done.stderr, uncaught


def judge(animals: list[Animal], catalog: Path) -> dict[str, object]:
    """Index the zoo and ask with it; figures by name, with what went wrong in words."""
    indexed = pemr("index", animals[0].path.parent, "--catalog", catalog, "--embedder", "ftm2d")
    told = [line for line in indexed.stderr.splitlines() if line.startswith(("skipped ", "pemr: "))]
    listed = pemr("list", "--catalog", catalog, "--json")
    lengths = {row["path"]: row["duration_s"] for row in json.loads(listed.stdout)}
    wrong = (
        [f"traceback of index: {indexed.stderr[-300:]}"] if "Traceback" in indexed.stderr else []
    )
    for animal in animals:
        found, name = lengths.get(str(animal.path)), ascii(animal.path.name)
        if animal.duration_s is not None and found is None:
            wrong.append(f"{name} ({animal.kind}) was not indexed")
        elif animal.duration_s is not None and abs(found - animal.duration_s) > TOLERANCE_S:
            wrong.append(f"{name} ({animal.kind}): {found} s, not {animal.duration_s:.2f} s")
        lines = [line for line in told if f"/{animal.path.name[:4]}" in line]
        if found is None and len(lines) != 1:
            wrong.append(f"{name} ({animal.kind}): {len(lines)} sentences say why it was skipped")
    n_refused = 0
    for animal, said, uncaught in ask(catalog, animals):
        if uncaught is not None:
            wrong.append(f"asking with {animal.path.name!a}: {uncaught!r}")
        n_refused += "pemr: " in said
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "files": len(animals),
        "kinds": dict(Counter(animal.kind for animal in animals)),
        "good": sum(animal.duration_s is not None for animal in animals),
        "indexed": len(lengths),
        "skipped": sum(line.startswith("skipped ") for line in told),
        "refused or warned of as queries": n_refused,
        "most memory of index (MB)": children // 1024,
        "wrong": wrong,
    }


def main() -> None:
    """Parse, make, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=320)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder to make the files in, and to leave")
    parser.add_argument("--out", type=Path, help="write STEM.md and STEM.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = options.keep or Path(work) / "zoo"
        animals = list(Zoo(folder, options.seed).animals(options.files))
        found = judge(animals, Path(work) / "catalog")
    wrong = found.pop("wrong")
    found["went wrong"] = len(wrong)
    found |= provenance()
    found["command"] = found["command"].replace("kill_index", "zoo")
    lines = [f"- {name}: {fact}" for name, fact in found.items()]
    print(*wrong, *lines, sep="\n")
    if options.out is not None:
        options.out.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
        options.out.with_suffix(".md").write_text("\n".join(["# A zoo of odd files\n", *lines, ""]))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
