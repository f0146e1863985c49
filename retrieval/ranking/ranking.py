"""Every number that decides the order of answers, as one value.

It comes with the weights that it was measured for, as plain values beside them, and is the only way
to leave a stage out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

from retrieval.errors import RankingError
from retrieval.ranking.calibrate import Calibration, calibration_from

STAGES: Final = ("tempos", "hubs", "neighbours", "alignment")
"""What may be left out of a ranking."""


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """What decides the order of candidates.

    Parameters
    ----------
    tempos : tuple of float
        Factors at which a query is asked beside its own tempo.
    hub_weight : float
        Share of a candidate's hubness that its score loses (`retrieval.ranking.hubs`).
    neighbour_weight : float
        What a chain over another candidate adds of what it has above strangers
        (`retrieval.ranking.neighbours`).
    neighbour_level : float
        A score, less what hubs lose, that one stranger in a hundred reaches.
    n_aligned : int or None
        How many of the best are aligned with the query; None for every candidate.
    alignment_weight : float
        What a perfect alignment adds to the score of an embedding.
    alignment_half_way : float
        The alignment score that adds half of that; covers score about 3 to 15.
    harmony_weights : tuple of float
        Weights of the squared distances of chroma, pitch classes and bass in the alignment.
    is_by_embedding : bool
        Whether embeddings count; otherwise alignment alone does.
    calibration : Calibration or None
        What makes probabilities of its evidence; None where nothing was measured, and wherever
        tempos or alignment are left out, whose evidence it weighs.
    """

    tempos: tuple[float, ...] = ()
    hub_weight: float = 0.0
    neighbour_weight: float = 0.0
    neighbour_level: float = 0.12
    n_aligned: int | None = 100
    alignment_weight: float = 0.5
    alignment_half_way: float = 5.0
    harmony_weights: tuple[float, ...] = (1.0, 1.0, 0.5)
    is_by_embedding: bool = True
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        if self.n_aligned is not None and self.n_aligned < 0:
            raise ValueError(f"Ranking.n_aligned is {self.n_aligned}, but it must be at least 0")
        if not self.alignment_half_way > 0:
            bad = self.alignment_half_way
            raise ValueError(f"Ranking.alignment_half_way is {bad}, but it must be positive")

    def without(self, *stages: str) -> "Ranking":
        """Leave stages out.

        Parameters
        ----------
        *stages : str
            Of `STAGES`.

        Returns
        -------
        Ranking

        Raises
        ------
        RankingError
            If there is no such stage, or nothing is left to rank by.
        """
        left_out: dict[str, dict[str, Any]] = {
            "tempos": {"tempos": (), "calibration": None},
            "hubs": {"hub_weight": 0.0},
            "neighbours": {"neighbour_weight": 0.0},
            "alignment": {"n_aligned": 0, "calibration": None},
        }
        ranking = self
        for stage in stages:
            if stage not in left_out:
                raise RankingError(f"no stage is called {stage!r}; there are: {', '.join(STAGES)}")
            ranking = replace(ranking, **left_out[stage])
        if not ranking.is_by_embedding and ranking.n_aligned == 0:
            raise RankingError("without embeddings and alignment nothing is left to rank by")
        return ranking

    def only(self, stage: str) -> "Ranking":
        """Rank by alignment alone, of every candidate.

        Parameters
        ----------
        stage : str
            ``alignment``; nothing else ranks by itself.

        Returns
        -------
        Ranking

        Raises
        ------
        RankingError
            If it is another stage.
        """
        if stage != "alignment":
            raise RankingError(f"{stage!r} cannot rank alone; only 'alignment' can")
        plain = self.without("tempos", "hubs", "neighbours")
        return replace(plain, is_by_embedding=False, n_aligned=None)

    def values(self) -> dict[str, Any]:
        """Write it as plain values, for a report or a card."""
        return {name: _plain(value) for name, value in asdict(self).items()}

    def words(self) -> str:
        """Say it in a line, so that two rankings that differ are called differently.

        Examples
        --------
        >>> Ranking(hub_weight=0.4, tempos=(0.8, 1.25)).words()
        'tempos 0.8 1.25, hubs 0.4, alignment of the best 100'
        """
        is_plain = self.alignment_weight == PLAIN.alignment_weight
        is_plain &= self.alignment_half_way == PLAIN.alignment_half_way
        weight = "" if is_plain else f" {self.alignment_weight:g}/{self.alignment_half_way:g}"
        if self.harmony_weights != PLAIN.harmony_weights:
            weight += " by " + " ".join(f"{one:g}" for one in self.harmony_weights)
        level = "" if self.neighbour_level == 0.12 else f" above {self.neighbour_level:g}"
        aligned = "every candidate" if self.n_aligned is None else f"the best {self.n_aligned}"
        told = {
            "tempos " + " ".join(f"{tempo:g}" for tempo in self.tempos): bool(self.tempos),
            f"hubs {self.hub_weight:g}": bool(self.hub_weight),
            f"neighbours {self.neighbour_weight:g}{level}": bool(self.neighbour_weight),
            f"alignment{weight} of {aligned}": self.n_aligned != 0,
        }
        return ", ".join(words for words, is_on in told.items() if is_on) or "embedding alone"


PLAIN: Final = Ranking()
"""What ranks with embedders that nothing was measured for: embedding, then alignment."""


def ranking_from(values: Mapping[str, Any]) -> Ranking:
    """Read a ranking that was written as plain values.

    Parameters
    ----------
    values : mapping
        Some or all of the fields; the others are those of `PLAIN`. None at all for an embedder
        that nothing was measured for.

    Returns
    -------
    Ranking

    Raises
    ------
    RankingError
        If there is a field that this version does not know, or a value out of its bounds.
    """
    known = {field.name for field in fields(Ranking)}
    if unknown := sorted(set(values) - known):
        raise RankingError(f"a ranking has no {', '.join(unknown)}; is this version too old?")
    try:
        return Ranking(**{name: _frozen(name, value) for name, value in values.items()})
    except (TypeError, ValueError) as error:
        raise RankingError(f"the ranking cannot be read: {error}") from error


def chosen(values: Mapping[str, Any], without: Sequence[str] = (), only: str = "") -> Ranking:
    """Take an embedder's ranking as a command asks for it.

    Parameters
    ----------
    values : mapping
        `Embedder.ranking`.
    without : sequence of str
        Stages to leave out.
    only : str
        The stage that ranks alone; empty for all.

    Returns
    -------
    Ranking

    Raises
    ------
    RankingError
        As `Ranking.without` and `Ranking.only` do.
    """
    ranking = ranking_from(values)
    return (ranking.only(only) if only else ranking).without(*without)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _frozen(name: str, value: Any) -> Any:  # noqa: ANN401 (any plain value)
    if name == "calibration" and value is not None:
        return calibration_from(value)
    return tuple(value) if isinstance(value, list) else value
