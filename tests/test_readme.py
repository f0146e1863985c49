"""The example of README does what it says, as it stands there."""

import wave
from pathlib import Path

import numpy as np

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
RATE = 16000


def write_tune(path, pitches, note_s):
    """Write notes of five overtones, each over a held fifth below."""
    t = np.arange(round(RATE * note_s)) / RATE
    notes = [
        sum(
            np.sin(2 * np.pi * 440 * 2 ** ((pitch + below - 69) / 12) * k * t) / k
            for k in range(1, 6)
            for below in (0, -12, -17)
        )
        for pitch in pitches
    ]
    samples = np.concatenate([note * np.linspace(1, 0.3, len(t)) for note in notes])
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples / np.abs(samples).max() * 2**14).astype("<i2").tobytes())


def test_six_lines_of_python_build_a_catalog_and_search_it(rng, tmp_path, monkeypatch, capsys):
    example = README.split("```python\n")[1].split("```")[0]
    statements = [line for line in example.splitlines() if line and "import " not in line]
    assert len(statements) == 6
    tune = rng.choice([60, 62, 64, 65, 67, 69, 71, 72], 80)
    write_tune(tmp_path / "song.mp3", tune, 0.5)
    write_tune(tmp_path / "music" / "cover.wav", tune + 3, 0.55)
    write_tune(tmp_path / "music" / "stranger.wav", rng.choice([60, 61, 63, 66, 68], 80), 0.4)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    first = capsys.readouterr().out.splitlines()[1]
    assert first.endswith("cover.wav")
    assert "+3" in first
