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
   * Makes ready for a press: at the first frame after it in which `selector` has changed, the time is known.
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
        const frame = (now) => {
          if (changed()) resolve(now - event.timeStamp);
          else if (now - event.timeStamp > 10_000) reject(new Error(`nothing has changed at ${x}, ${y} of ${selector}`));
          else requestAnimationFrame(frame);
        };
        requestAnimationFrame(frame);
      };
      window.addEventListener("pointerdown", pressed, { capture: true, once: true });
    });
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
