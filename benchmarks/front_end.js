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
   * A frame counts if the pointer has come to another cell since the last one by the time when it is drawn, and as live
   * if the pixels around that cell have changed with it and the overlay names it as painted.
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
    let at = null;
    const state = this.following;
    const check = () => {
      if (!state.on) {
        window.removeEventListener("pointermove", move, { capture: true });
        return;
      }
      state.drawn += 1;
      if (at) {
        const cell = `${cellAt(at.clientX - left)},${cellAt(at.clientY - top)}`;
        const [x, y] = cell.split(",").map((k) => (offset + stride * Number(k)) * scale);
        // As much as tells the maps of neighbours apart: in the corners of the image they are much alike.
        const pixels = readPixels(target, left + x, top + y, 100);
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
    // A message sent from a frame arrives after all that the frame has to draw; the pointer may have moved on by then.
    const frame = () =>
      requestAnimationFrame(() => {
        at = pointer;
        channel.port2.postMessage(null);
      });
    frame();
  },

  stopFollowing() {
    this.following.on = false;
    return this.following;
  },

  /**
   * Moves the pressed pointer over an element, one move a frame, and gives frames and changes of an attribute a second.
   *
   * The moves are made here: those of a driver come one after the other, each with a round trip of its own. The pointer
   * has been pressed for real before, for only such a one can be captured.
   */
  async drag(selector, attribute, seconds) {
    const target = document.querySelector(selector);
    const { left, top, width, height } = target.getBoundingClientRect();
    let [frames, changes] = [0, 0];
    const observer = new MutationObserver((records) => {
      for (const { oldValue } of records) {
        const value = target.getAttribute(attribute);
        if (value !== null && value !== oldValue) changes += 1;
      }
    });
    observer.observe(target, { attributes: true, attributeFilter: [attribute], attributeOldValue: true });
    const about = { bubbles: true, isPrimary: true, pointerId: 1, pointerType: "mouse", button: -1, buttons: 1 };
    const began = performance.now();
    while (performance.now() - began < 1000 * seconds) {
      frames += 1;
      // Well inside, where every move comes to another cell.
      const [x, y] = [0.2 * width + ((23 * frames) % (0.6 * width)), 0.2 * height + ((17 * frames) % (0.6 * height))];
      target.dispatchEvent(new PointerEvent("pointermove", { ...about, clientX: left + x, clientY: top + y }));
      await new Promise(requestAnimationFrame);
    }
    const took = (performance.now() - began) / 1000;
    observer.disconnect();
    return { frames: frames / took, shown: changes / took };
  },
};
