/**
 * Starts the overlay on a page without a kernel: for every `script.rfwidget-data`, which holds a list of layers as
 * JSON, it builds the same stage as in a notebook right behind it, and a choice of layers if there are several.
 */

import { mount } from "./core.js";
import { assign, html, place } from "./dom.js";
import { type PageLayer, StaticHost } from "./static.js";

for (const script of document.querySelectorAll("script.rfwidget-data")) {
  const layers: PageLayer[] = JSON.parse(script.textContent ?? "[]");
  const [first] = layers;
  if (first) script.after(page(layers, first));
}

function page(layers: readonly PageLayer[], first: PageLayer): HTMLElement {
  const host = new StaticHost(first);
  const scene = html("img", "rfwidget-scene", { alt: "" });
  const overlay = html("div", "");
  const choice = html(
    "select",
    "rfwidget-layers",
    { "aria-label": "Output layer" },
    layers.map(({ layer, grid }) => new Option(`${layer} (${grid[0]} \u00d7 ${grid[1]})`)),
  );
  choice.hidden = layers.length < 2;
  const show = (layer: PageLayer) => {
    const { image_size, margin, scale } = layer;
    assign(scene, { src: layer.scene });
    place(scene, {
      width: margin[0] + image_size[0] * scale + margin[2],
      height: margin[1] + image_size[1] * scale + margin[3],
    });
  };
  choice.addEventListener("change", () => {
    const layer = layers[choice.selectedIndex] ?? first;
    show(layer);
    host.show(layer);
  });
  show(first);
  mount(overlay, host, new AbortController().signal);
  return html("div", "rfwidget-page", {}, [choice, html("div", "rfwidget-stage", {}, [scene, overlay])]);
}
