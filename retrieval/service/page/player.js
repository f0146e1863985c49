// Two recordings at the same musical place.

/** A player of a track or of a file; what the browser cannot read is asked for as Opus. */
export class Deck {
  constructor(audio) {
    this.audio = audio;
    this.base = 0; // seconds of the recording at which what is played begins
    this.track = null;
    audio.addEventListener("error", () => this.recode());
  }

  open(source) {
    this.audio.pause();
    if (this.url) URL.revokeObjectURL(this.url);
    [this.base, this.url, this.track] = [0, null, null];
    if (source.file) {
      this.url = URL.createObjectURL(source.file);
      this.audio.src = this.url;
      return;
    }
    this.track = source.track_id;
    this.isRecoded = source.is_playable === false;
    this.audio.src = `api/tracks/${this.track}/audio${this.isRecoded ? "?start_s=0" : ""}`;
  }

  recode() {
    if (this.track === null || this.isRecoded) return;
    this.isRecoded = true;
    this.at = 0;
  }

  get at() {
    return this.base + this.audio.currentTime;
  }

  set at(seconds) {
    const place = Math.max(0, seconds);
    if (this.isRecoded && this.track !== null) {
      const isPlaying = !this.audio.paused;
      this.base = place;
      this.audio.src = `api/tracks/${this.track}/audio?start_s=${place.toFixed(2)}`;
      if (isPlaying) this.audio.play().catch(() => {});
    } else {
      this.audio.currentTime = place;
    }
  }
}

/** Where in the other recording the same music is: by the span at hand, or the nearest one. */
export function across(spans, seconds, fromQuery, chosen) {
  const [start, end, otherStart] = fromQuery
    ? ["query_start_s", "query_end_s", "start_s"]
    : ["start_s", "end_s", "query_start_s"];
  const away = (span) => Math.max(span[start] - seconds, seconds - span[end], 0);
  const inside = chosen && away(chosen) === 0 ? chosen : null;
  const span = inside || [...spans].sort((one, other) => away(one) - away(other))[0];
  if (!span) return { seconds, span: null };
  const rate = fromQuery ? 1 / span.tempo : span.tempo;
  return { seconds: span[otherStart] + (seconds - span[start]) * rate, span };
}

/** Two decks; at most one is heard, or both, and they stay in step through the spans. */
export class Pair {
  constructor(a, b) {
    [this.a, this.b, this.spans, this.chosen, this.isBoth] = [a, b, [], null, false];
    this.active = a;
    for (const deck of [a, b]) {
      deck.audio.addEventListener("play", () => this.started(deck));
    }
  }

  get other() {
    return this.active === this.a ? this.b : this.a;
  }

  started(deck) {
    if (!this.isBoth && deck !== this.active) this.active = deck;
    if (!this.isBoth) this.other.audio.pause();
  }

  /** Go to a place of a span in both, and play. */
  play(span, share = 0) {
    this.chosen = span;
    this.a.at = span.query_start_s + share * (span.query_end_s - span.query_start_s);
    this.b.at = span.start_s + share * (span.end_s - span.start_s);
    this.isBoth = true;
    return this.start();
  }

  /** Go to two places that were pointed at, and play. */
  playAt(querySeconds, seconds) {
    this.a.at = querySeconds;
    this.b.at = seconds;
    this.isBoth = true;
    return this.start();
  }

  start() {
    const decks = this.isBoth ? [this.a, this.b] : [this.active];
    return Promise.all(decks.map((deck) => deck.audio.play().catch(() => {})));
  }

  pause() {
    this.a.audio.pause();
    this.b.audio.pause();
  }

  toggle() {
    if (this.a.audio.paused && this.b.audio.paused) return this.start();
    return this.pause();
  }

  /** Hear the other one, from the same musical place on. */
  switch() {
    const wasPlaying = !this.a.audio.paused || !this.b.audio.paused;
    const from = this.active;
    const place = across(this.spans, from.at, from === this.a, this.chosen);
    from.audio.pause();
    this.isBoth = false;
    this.active = this.other;
    this.other.audio.pause();
    this.active.at = place.seconds;
    return wasPlaying ? this.start() : undefined;
  }

  /** Hear both, the other one brought to the same musical place. */
  both() {
    const place = across(this.spans, this.active.at, this.active === this.a, this.chosen);
    this.other.at = place.seconds;
    this.isBoth = true;
    return this.start();
  }
}
