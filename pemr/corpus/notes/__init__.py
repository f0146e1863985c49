"""What is written: scores are read, their chords, keys and works found."""
