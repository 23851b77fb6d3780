/**
 * The page's side of benchmarks/front_end.py: from a pointer event to the animation frame that shows what came of it.
 *
 * What is on the screen is read, not believed: the pixels of the canvas, or the text of the echo.
 */

/** Pixels of a canvas around a point of the window, `size` CSS pixels wide and high. */
function readPixels(canvas, x, y, size) {
  const box = canvas.getBoundingClientRect();
  const density = canvas.width / box.width;
  const [left, top] = [x - size / 2 - box.left, y - size / 2 - box.top].map((edge) => Math.round(edge * density));
  const side = Math.round(size * density);
  return canvas.getContext("2d").getImageData(left, top, side, side).data;
}

function differs(before, after) {
  return after.some((value, k) => Math.abs(value - before[k]) > 8);
}

window.frontEndBenchmark = {
  /**
   * Makes ready for a press: at the first frame after it in which `selector` has changed, the time is known, and how
   * many frames that took.
   *
   * `selector` is a canvas, whose pixels around the point are read in every frame, or an element with a text.
   */
  arm(selector, x, y) {
    const target = document.querySelector(selector);
    const look = () => (target instanceof HTMLCanvasElement ? readPixels(target, x, y, 16) : target.textContent);
    const before = look();
    const changed = target instanceof HTMLCanvasElement ? () => differs(before, look()) : () => look() !== before;
    this.result = new Promise((resolve, reject) => {
      const pressed = (event) => {
        this.frames = 0;
        const frame = () => {
          // Not the frame's own time, which may be before that of an event that came with it.
          const now = performance.now();
          this.frames += 1;
          if (changed()) resolve(now - event.timeStamp);
          else if (now - event.timeStamp > 10_000) reject(new Error(`nothing has changed at ${x}, ${y} of ${selector}`));
          else requestAnimationFrame(frame);
        };
        requestAnimationFrame(frame);
      };
      window.addEventListener("pointerdown", pressed, { capture: true, once: true });
    });
  },

  /**
   * Notes from now on when the first heat map is painted, and when so many more cells are live.
   *
   * To be called before the widget is there.
   */
  watchLive() {
    this.live = { painted: null, counts: [] };
    const look = () => {
      const { painted, live } = document.querySelector(".rfwidget-overlay")?.dataset ?? {};
      if (painted && this.live.painted === null) this.live.painted = performance.now();
      if (live && this.live.counts.at(-1)?.[0] !== Number(live)) this.live.counts.push([Number(live), performance.now()]);
    };
    const attributeFilter = ["data-painted", "data-live"];
    this.watching = new MutationObserver(look);
    this.watching.observe(document, { subtree: true, childList: true, attributes: true, attributeFilter });
  },

  stopWatching() {
    this.watching.disconnect();
  },

  /** Milliseconds from the first heat map until so many cells were live; null: they never were. */
  liveAfter(cells) {
    const found = this.live.counts.find(([count]) => count >= cells);
    return found ? Math.max(0, found[1] - this.live.painted) : null;
  },

  /**
   * Looks after every frame, until `stopFollowing`, whether the canvas shows the cell under the pointer, and counts
   * frames.
   *
   * A frame counts if the pointer has come to another cell since the last one, and as live if the pixels around the
   * pointer have changed with it and the overlay names that cell as painted.
   */
  follow(canvas, { left, top, width, side, offset, stride, cells }) {
    const target = document.querySelector(canvas);
    const overlay = document.querySelector(".rfwidget-overlay");
    const scale = width / side;
    const cellAt = (at) => Math.min(cells - 1, Math.max(0, Math.round((at / scale - offset) / stride)));
    let pointer = null;
    const move = (event) => {
      pointer = event;
    };
    window.addEventListener("pointermove", move, { capture: true });
    this.following = { drawn: 0, frames: 0, live: 0, on: true };
    let last = "";
    let lastPixels = null;
    const state = this.following;
    const check = () => {
      if (!state.on) {
        window.removeEventListener("pointermove", move, { capture: true });
        return;
      }
      state.drawn += 1;
      if (pointer) {
        const cell = `${cellAt(pointer.clientX - left)},${cellAt(pointer.clientY - top)}`;
        const [x, y] = cell.split(",").map((k) => (offset + stride * Number(k)) * scale);
        const pixels = readPixels(target, left + x, top + y, 16);
        if (cell !== last && lastPixels) {
          state.frames += 1;
          state.live += overlay.dataset.painted === cell && differs(lastPixels, pixels) ? 1 : 0;
        }
        [last, lastPixels] = [cell, pixels];
      }
      frame();
    };
    const channel = new MessageChannel();
    channel.port1.onmessage = check;
    // A message sent from a frame arrives after all that the frame has to draw.
    const frame = () => requestAnimationFrame(() => channel.port2.postMessage(null));
    frame();
  },

  stopFollowing() {
    this.following.on = false;
    return this.following;
  },

  /** Counts how often an attribute of an element changes from now on, until `stop` gives the number. */
  count(selector, attribute) {
    this.changes = 0;
    this.observer = new MutationObserver((records) => {
      for (const { target, oldValue } of records) {
        const value = target.getAttribute(attribute);
        if (value !== null && value !== oldValue) this.changes += 1;
      }
    });
    this.observer.observe(document.querySelector(selector), {
      attributes: true,
      attributeFilter: [attribute],
      attributeOldValue: true,
    });
  },

  stop() {
    this.observer.disconnect();
    return this.changes;
  },
};
