"""Numbers → what people and players write: a clock, a transposition, the frames of a cue sheet."""

_CUE_FRAMES = 75  # a second, as on a compact disc


def clock(seconds: float) -> str:
    """Write a time as minutes and seconds, with hours where there are any.

    Parameters
    ----------
    seconds : float
        At least 0.

    Returns
    -------
    str

    Examples
    --------
    >>> clock(72.4), clock(3672)
    ('1:12', '1:01:12')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours}:{minutes_left:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def semitones(transposition: int | None) -> str | None:
    """Write a transposition with its sign; None where there is none.

    Examples
    --------
    >>> semitones(3), semitones(0), semitones(-2)
    ('+3', '0', '-2')
    """
    return None if transposition is None else f"{transposition:+d}" if transposition else "0"


def cue_time(seconds: float) -> str:
    """Write a time as a cue sheet does: minutes, seconds and frames, without hours.

    Parameters
    ----------
    seconds : float
        At least 0.

    Returns
    -------
    str

    Examples
    --------
    >>> cue_time(3672.5)
    '61:12:38'
    """
    frames = round(seconds * _CUE_FRAMES)
    seconds_left, frames_left = divmod(frames, _CUE_FRAMES)
    return f"{seconds_left // 60:02d}:{seconds_left % 60:02d}:{frames_left:02d}"
