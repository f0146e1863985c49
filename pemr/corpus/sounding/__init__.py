"""How it sounds: a performance becomes a waveform, or a sketch of its spectrogram."""
