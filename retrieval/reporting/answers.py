"""What was found → text, in every form that a command offers."""

from retrieval.finding.agreement import Agreement, agreement_row, agreement_table
from retrieval.finding.listing import cue_sheet, setlist_json, setlist_rows, setlist_table
from retrieval.finding.setlist import Setlist
from retrieval.ranking.candidate import (
    candidate_columns,
    candidate_rows,
    candidate_table,
    span_lines,
)
from retrieval.ranking.verdict import NO_COVER, Verdict
from retrieval.reporting.layout import laid_out
from retrieval.reporting.playlist import m3u


def verdict_text(verdict: Verdict, form: str = "table") -> str:
    """Write what a search comes to.

    Parameters
    ----------
    verdict : Verdict
        From `judge`.
    form : str, optional
        `table`, after which it says what agrees where, or that there is no cover; `json`, with the
        verdict beside the candidates; `csv`; or `m3u`, a playlist.

    Returns
    -------
    str
        Lines, each with its end.
    """
    candidates = verdict.candidates
    if form == "m3u":
        return m3u(candidates)
    if form == "json":
        rows = {"verdict": verdict.word, "candidates": candidate_rows(candidates)}
        return laid_out(rows, form)
    if form == "csv":
        return laid_out(candidate_columns(candidates), form)
    lines = [laid_out(candidate_table(candidates))] if candidates else []
    lines += [f"{line}\n" for line in span_lines(candidates)]
    return "".join([*lines, _no_cover(verdict)])


def _no_cover(verdict: Verdict) -> str:
    """Say plainly that nothing is likely, and what comes nearest."""
    if verdict.word != NO_COVER:
        return ""
    if verdict.likeliest is None:
        return "no cover here\n"
    best = verdict.likeliest
    return (
        f"no cover here: the likeliest track, {best.path.name}, "
        f"has a probability of {best.probability:.3f}\n"
    )


def agreement_text(agreement: Agreement, form: str = "table") -> str:
    """Write what two files have in common, as a `table` or as `json`."""
    row = agreement_row(agreement) if form == "json" else agreement_table(agreement)
    return laid_out(row, form)


def setlist_text(setlist: Setlist, form: str, name: str) -> str:
    """Write what occurs in a recording.

    Parameters
    ----------
    setlist : Setlist
        From `recognise`.
    form : str
        `table`, `json`, `csv` or `cue`.
    name : str
        Of the file, for the cue sheet.

    Returns
    -------
    str
        Lines, each with its end.
    """
    if form == "cue":
        return cue_sheet(setlist, name)
    if form == "json":
        return laid_out(setlist_json(setlist), form)
    return laid_out(setlist_rows(setlist) if form == "csv" else setlist_table(setlist), form)
