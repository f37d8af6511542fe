// Which frame is shown, and playing on at the recording's own pace.

const AHEAD = 4; // frames fetched before they are needed

export class Player {
  /**
   * @param image the img element.
   * @param times seconds of every frame.
   * @param onFrame called after the frame changed.
   * @param onError called with a message when a frame cannot be shown, "" when one can again.
   */
  constructor(image, times, onFrame, onError) {
    Object.assign(this, { image, times, onFrame, onError });
    this.frame = 0;
    this.playing = false;
    this.loading = false; // one frame at a time; the newest wish comes next
    this.failed = false;
    this.ahead = [];
  }

  address(frame) {
    return `frames/${frame}.jpg`;
  }

  show(frame) {
    this.frame = Math.min(Math.max(frame, 0), this.times.length - 1);
    this.onFrame();
    this.load();
  }

  async load() {
    if (this.loading) return;
    this.loading = true;
    let shown = -1;
    while (shown !== this.frame) {
      shown = this.frame;
      this.image.src = this.address(shown);
      try {
        await this.image.decode();
        if (this.failed) this.onError("");
        this.failed = false;
      } catch {
        this.failed = true;
        this.onError(await this.reason(shown));
      }
      this.image.dataset.frame = shown;
    }
    this.loading = false;
  }

  /** Why a frame did not come. */
  async reason(frame) {
    try {
      const answer = await fetch(this.address(frame));
      return (await answer.json()).error;
    } catch {
      return `Frame ${frame} cannot be shown; is \`stvg-ros annotate\` still running?`;
    }
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.onFrame();
  }

  play() {
    const last = this.times.length - 1;
    if (this.frame === last) this.show(0);
    this.playing = true;
    let previous = performance.now();
    let time = this.times[this.frame];
    const step = (now) => {
      if (!this.playing) return;
      // A slow machine plays slowly rather than skipping: time stands while a frame loads.
      if (!this.loading) time += (now - previous) / 1000;
      previous = now;
      let next = this.frame;
      while (next < last && this.times[next + 1] <= time) next += 1;
      if (next !== this.frame) {
        this.show(next);
        this.ahead = Array.from({ length: AHEAD }, (_, index) => {
          const image = new Image();
          image.src = this.address(Math.min(next + 1 + index, last));
          return image;
        });
      }
      if (this.frame === last) this.pause();
      else requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
    this.onFrame();
  }
}
