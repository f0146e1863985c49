"""What was found → text, in every form that a command offers."""

from collections.abc import Sequence

from retrieval.finding.agreement import Agreement, agreement_row, agreement_table
from retrieval.finding.listing import cue_sheet, setlist_json, setlist_rows, setlist_table
from retrieval.finding.setlist import Setlist
from retrieval.ranking.candidate import (
    Candidate,
    candidate_columns,
    candidate_rows,
    candidate_table,
    m3u,
    span_lines,
)
from retrieval.reporting.layout import laid_out


def candidates_text(candidates: Sequence[Candidate], form: str = "table") -> str:
    """Write the answers of a search.

    Parameters
    ----------
    candidates : sequence of Candidate
        From `search`.
    form : str, optional
        `table`, after which it says what agrees where; `json`, `csv`, or `m3u`, a playlist.

    Returns
    -------
    str
        Lines, each with its end.
    """
    if form == "m3u":
        return m3u(candidates)
    if form == "json":
        return laid_out(candidate_rows(candidates), form)
    if form == "csv":
        return laid_out(candidate_columns(candidates), form)
    lines = [
        laid_out(candidate_table(candidates)),
        *(f"{line}\n" for line in span_lines(candidates)),
    ]
    return "".join(lines)


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
