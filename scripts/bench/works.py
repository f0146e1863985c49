"""Count what became of the scores, and show samples of what was joined, to be checked by eye.

Prints Markdown. Example: scripts/bench/works.py SCORES --cache DIR > report.md
"""

import argparse
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pemr.corpus.notes.chords import infer_chords
from pemr.corpus.notes.readers import cached_scores
from pemr.corpus.notes.scores import Chord, Score, Unread
from pemr.corpus.notes.works import Pair, Survey, survey

COMMON_WORDS = {"the", "and", "with", "from", "hornpipe", "reel", "march", "lord", "jesus", "miss"}
COMMON_WORDS |= {
    "jig",
    "strathspey",
    "lady",
    "clog",
    "fling",
    "god",
    "for",
    "old",
    "unison",
    "satb",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scores", type=Path, help="folder of score archives")
    parser.add_argument("--cache", type=Path, required=True, help="where parsed scores are kept")
    parser.add_argument("--samples", type=int, default=40, help="joined pairs to show")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    start = time.perf_counter()
    scores, skipped = cached_scores(options.scores, options.cache, options.jobs)
    reading_s = time.perf_counter() - start
    found = survey(options.scores, options.cache, options.jobs)
    matching_s = time.perf_counter() - start - reading_s
    print("# Scores and works\n")
    print(
        f"Read in {reading_s:.0f} s, matched in {matching_s:.0f} s (a cached step takes seconds).\n"
    )
    print_counts(scores, skipped, found)
    print_splits(found)
    print_titles(found)
    print_chords(scores)
    print_anthems(found)
    print_samples(found, options.samples)
    print_skipped(skipped)


def print_counts(scores: Sequence[Score], skipped: Sequence[Unread], found: Survey) -> None:
    read = Counter(score.book for score in scores)
    bad = Counter(item.source.rsplit("/", 1)[0] for item in skipped)
    dropped = Counter(source.rsplit("/", 1)[0] for source in found.anthems)
    joined = Counter(
        score.book for work in found.works if len(work.scores) > 1 for score in work.scores
    )
    print(
        "| book | read | skipped | anthems | in works of several settings |\n|---|---|---|---|---|"
    )
    for book in sorted(read | bad):
        print(f"| {book} | {read[book]} | {bad[book]} | {dropped[book]} | {joined[book]} |")
    across = Counter(
        " + ".join(sorted((found.scores[p.one].book, found.scores[p.other].book)))
        for p in found.pairs
    )
    print("\nJoined pairs by book:\n\n| books | pairs |\n|---|---|")
    for books, n in across.most_common():
        print(f"| {books} | {n} |")


def print_splits(found: Survey) -> None:
    print(f"\nKin of what is held out, in no split: {found.n_kin} works.\n")
    print("| split | works | settings | by archive of the first |\n|---|---|---|---|")
    for split in ("train", "dev", "test", "human"):
        own = [work for work in found.works if work.split == split]
        archives = Counter(work.scores[0].archive for work in own)
        parts = ", ".join(f"{name} {n}" for name, n in sorted(archives.items()))
        print(f"| {split} | {len(own)} | {sum(len(work.scores) for work in own)} | {parts} |")
    largest = sorted((len(work.scores) for work in found.works), reverse=True)[:10]
    print(f"\nSettings of the largest works: {largest}.")


def print_titles(found: Survey) -> None:
    """Compare how often joined scores share a word of their titles with how often others do."""
    rng = np.random.default_rng(1)
    titled = [score for score in found.scores if words(score)]
    joined = [(found.scores[p.one], found.scores[p.other]) for p in found.pairs]
    strangers = [[titled[k] for k in rng.integers(len(titled), size=2)] for _ in range(5000)]
    print(
        f"\nTitles: {agreement(joined)} of the joined pairs, {agreement(strangers)} of strangers."
    )


def agreement(pairs: Iterable[Sequence[Score]]) -> str:
    both = [(words(one), words(other)) for one, other in pairs if words(one) and words(other)]
    n = sum(bool(one & other) for one, other in both)
    return f"{n} of {len(both)} ({n / max(len(both), 1):.0%}) share a word where both have a title"


def words(score: Score) -> set[str]:
    found = re.findall(r"[a-z]{4,}", score.title.lower().replace("'", ""))
    return {word[:6] for word in found if word not in COMMON_WORDS}


def print_chords(scores: Sequence[Score]) -> None:
    """Compare inferred chords with those that lead sheets and POP909 name."""
    print("\n| chords inferred from | roots as written, beat by beat |\n|---|---|")
    rng = np.random.default_rng(2)
    for archive, label in (("openewld", "melody alone"), ("pop909", "melody and piano")):
        own = [score for score in scores if score.archive == archive]
        sample = [own[k] for k in rng.permutation(len(own))[:60]]
        right = total = 0
        for score in sample:
            inferred = by_beat(infer_chords(replace(score, chords=())))
            written = by_beat(score.chords)
            both = inferred.keys() & written.keys()
            total += len(both)
            right += sum(inferred[beat] == written[beat] for beat in both)
        print(f"| {label} ({archive}, {len(sample)} scores) | {right / max(total, 1):.2f} |")


def by_beat(chords: Iterable[Chord]) -> dict[int, int]:
    return {
        beat: chord.root for chord in chords for beat in range(round(chord.start), round(chord.end))
    }


def print_anthems(found: Survey) -> None:
    print(f"\n## Left out as anthems: {len(found.anthems)}\n")
    titles = {score.source: score.title for score in found.scores}
    for source, anthem in sorted(found.anthems.items()):
        print(f"- {source} ({titles[source]}): {anthem}")


def print_samples(found: Survey, n_samples: int) -> None:
    print("\n## Joined pairs, drawn at random\n")
    print("Semitones above the tonic of the first; `.` follows a note of two beats or more.\n")
    drawn = np.random.default_rng(0).permutation(len(found.pairs))[:n_samples]
    for number, place in enumerate(drawn, 1):
        print(describe(number, found.pairs[place], found.scores))


def describe(number: int, pair: Pair, scores: Sequence[Score]) -> str:
    one, other = scores[pair.one], scores[pair.other]
    match = pair.match
    figures = f"worth {match.worth:.2f}, {match.transposition:+d} semitones"
    lines = [f"{number}. {match.n_notes} notes, {figures}"]
    for score, shift in ((one, 0), (other, match.transposition)):
        base = 60 + one.tonic + shift
        notes = " ".join(
            f"{note.pitch - base}{'.' if note.duration >= 2 else ''}" for note in score.melody[:24]
        )
        lines.append(f"   - {score.source}, {score.title or 'no title'}: `{notes}`")
    return "\n".join(lines)


def print_skipped(skipped: Sequence[Unread]) -> None:
    print(f"\n## Skipped: {len(skipped)}\n")
    for item in skipped:
        print(f"- {item.source}: {item.reason}")


if __name__ == "__main__":
    main()
