"""What ranking does for some embedders only, because only for them was it measured."""


def is_cover(embedder_name: str) -> bool:
    """Tell whether an embedder is of the preset cover or a variant of it.

    Parameters
    ----------
    embedder_name : str
        As the catalog records it.

    Returns
    -------
    bool
    """
    preset = embedder_name.partition("@")[0]
    return preset == "cover" or preset.startswith("cover-")


def for_cover(weight: float, embedder_name: str) -> float:
    """Give a weight to the embedders of the preset cover, and 0 to any other.

    Parameters
    ----------
    weight : float
        As it was measured.
    embedder_name : str
        As the catalog records it.

    Returns
    -------
    float
    """
    return weight if is_cover(embedder_name) else 0.0
