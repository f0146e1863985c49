"""Answers and figures become rows, files, pages and pictures."""
