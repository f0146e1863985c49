"""Scores become recordings of covers."""
