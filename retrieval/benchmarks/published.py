"""Figures that other people published, with their conventions and sources; none was run here.

A figure that is known only at second hand says so. Conventions differ more than systems do: read
the convention before comparing.
"""

from retrieval.benchmarks.base import Published

_CLEWS = "Serra et al., ICML 2025, table 2"
_REIMPLEMENTED = "re-implemented by the authors of CLEWS; " + _CLEWS
_DETECTION_HUB = "README of CoverDetectionHub, which ran the released models again"
_DA_TACOS_PAPER = "Yesiler et al., ISMIR 2019, table 2, at second hand"
_BIASED = "13,000 queries; noise averaged into MR1 as rank 1, which lowers it"
_SHS = "SHS100K-TEST (version 2)"
_SHS_MOST = "SHS100K-TEST (version 2), the 82 % that was still there"
_DVI = "Discogs-VI-YT test"

COVERS80 = (
    Published(
        system="CQTNet 2020",
        convention="160 files",
        source="Yu et al., ICASSP 2020, from public leaderboards",
        map=0.840,
    ),
    Published(
        system="CQTNet with SpecAugment",
        convention="160 files",
        source="README of CQTNet",
        map=0.860,
    ),
    Published(
        system="ByteCover 2021",
        convention="160 files",
        source="Du et al., ICASSP 2021, from public leaderboards",
        map=0.906,
    ),
    Published(
        system="CoverHunter 2023",
        convention="164 files",
        source="README of CoverHunter",
        map=0.9267,
        mr1=3.085,
    ),
    Published(
        system="Re-MOVE, run again",
        convention="all against all",
        source=_DETECTION_HUB,
        map=0.830,
        mr1=8.04,
    ),
    Published(
        system="CoverHunter, run again",
        convention="all against all",
        source=_DETECTION_HUB,
        map=0.742,
        mr1=9.52,
    ),
    Published(
        system="ByteCover (Orfium), run again",
        convention="all against all",
        source=_DETECTION_HUB,
        map=0.522,
        mr1=14.78,
    ),
    Published(
        system="random ranking",
        convention="160 files",
        source="H(159) / 159",
        map=0.036,
        mr1=80.0,
    ),
)

SHS100K_TEST = (
    Published(
        system="CQTNet 2020",
        convention=_SHS,
        source="Yu et al., ICASSP 2020, from public leaderboards",
        map=0.655,
    ),
    Published(
        system="CQTNet with SpecAugment", convention=_SHS, source="README of CQTNet", map=0.71
    ),
    Published(system="CQTNet", convention=_SHS_MOST, source=_REIMPLEMENTED, map=0.677),
    Published(system="Discogs-VINet+ 2024", convention=_SHS_MOST, source=_REIMPLEMENTED, map=0.720),
    Published(system="LyraC-Net 2022", convention=_SHS, source="as quoted in " + _CLEWS, map=0.765),
    Published(
        system="ByteCover 2021",
        convention=_SHS,
        source="Du et al., ICASSP 2021, from public leaderboards",
        map=0.836,
    ),
    Published(
        system="ByteCover2 2022", convention=_SHS, source="as quoted in " + _CLEWS, map=0.864
    ),
    Published(system="ByteCover1/2", convention=_SHS_MOST, source=_REIMPLEMENTED, map=0.813),
    Published(
        system="CoverHunter 2023, 128 dimensions",
        convention=_SHS,
        source="Liu et al., ICME 2023, at second hand",
        map=0.858,
    ),
    Published(system="CLEWS 2025", convention=_SHS_MOST, source=_CLEWS, map=0.876),
    Published(
        system="WEALY + CLEWS 2026",
        convention=_SHS_MOST,
        source="arXiv 2510.08176, with lyrics",
        map=0.912,
    ),
)

DISCOGS_VI = (
    Published(system="CQTNet", convention=_DVI, source=_REIMPLEMENTED, map=0.493),
    Published(system="ByteCover3", convention=_DVI, source=_REIMPLEMENTED, map=0.513),
    Published(system="ByteCover1/2", convention=_DVI, source=_REIMPLEMENTED, map=0.595),
    Published(system="Discogs-VINet+ 2024", convention=_DVI, source=_REIMPLEMENTED, map=0.643),
    Published(system="CLEWS 2025", convention=_DVI, source=_CLEWS, map=0.774),
)

DA_TACOS = (
    Published(
        system="2-D Fourier magnitude",
        convention="13,000 queries",
        source=_DA_TACOS_PAPER,
        map=0.126,
        mr1=207,
    ),
    Published(
        system="SiMPle", convention="13,000 queries", source=_DA_TACOS_PAPER, map=0.165, mr1=358
    ),
    Published(
        system="Dmax", convention="13,000 queries", source=_DA_TACOS_PAPER, map=0.292, mr1=155
    ),
    Published(
        system="Qmax", convention="13,000 queries", source=_DA_TACOS_PAPER, map=0.333, mr1=119
    ),
    Published(
        system="Qmax on CREMA",
        convention="13,000 queries",
        source=_DA_TACOS_PAPER,
        map=0.365,
        mr1=113,
    ),
    Published(
        system="early fusion",
        convention="13,000 queries",
        source=_DA_TACOS_PAPER,
        map=0.426,
        mr1=116,
    ),
    Published(
        system="MOVE 2020",
        convention=_BIASED,
        source="Yesiler et al., ICASSP 2020",
        map=0.507,
        mr1=40,
    ),
    Published(
        system="Re-MOVE 2020",
        convention=_BIASED,
        source="Yesiler et al., ISMIR 2020, at second hand",
        map=0.534,
        mr1=38,
    ),
    Published(
        system="ByteCover 2021",
        convention="13,000 queries; 8,373 overlapping recordings left out of training",
        source="Du et al., ICASSP 2021, at second hand",
        map=0.714,
        mr1=23,
    ),
    Published(
        system="ByteCover2 2022",
        convention="13,000 queries",
        source="Du et al., ICASSP 2022, as quoted in ByteCover3",
        map=0.791,
    ),
    Published(
        system="CoverHunter 2023",
        convention="13,000 queries",
        source="Liu et al., ICME 2023, at second hand",
        map=0.865,
    ),
)
