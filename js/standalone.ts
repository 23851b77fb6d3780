/**
 * Starts the overlay on a page without a kernel: for every `script.rfwidget-data`, which holds a page as JSON, it builds
 * the same stage as in a notebook right behind it, and a choice of layers if there are several.
 */

import { mount } from "./core.js";
import { assign, html, place } from "./dom.js";
import { type Page, StaticHost } from "./static.js";

for (const script of document.querySelectorAll("script.rfwidget-data")) {
  script.after(build(JSON.parse(script.textContent ?? "")));
}

function build(page: Page): HTMLElement {
  const host = new StaticHost(page);
  const { signal } = new AbortController();
  const photo = html("img", "rfwidget-photo", { alt: "", src: page.photo });
  const scene = html("img", "rfwidget-scene", { alt: "" });
  const overlay = html("div", "");
  const choice = html(
    "select",
    "rfwidget-layers",
    { "aria-label": "Output layer" },
    page.shown.map(({ layer, grid }) => new Option(`${layer} (${grid[0]} \u00d7 ${grid[1]})`, layer)),
  );
  choice.hidden = page.shown.length < 2;
  choice.addEventListener("change", () => host.choose(choice.value), { signal });
  const show = () => {
    const { image_size, margin, scale, layer } = host.layer;
    const [width, height] = [image_size[0] * scale, image_size[1] * scale];
    photo.classList.toggle("rfwidget-magnified", scale >= 1);
    photo.style.margin = `${margin[1]}px 0 0 ${margin[0]}px`;
    place(photo, { width, height });
    place(scene, { width: margin[0] + width + margin[2], height: margin[1] + height + margin[3] });
    assign(scene, { src: host.layer.scene });
    choice.value = layer;
  };
  host.watch(show, signal);
  show();
  mount(overlay, host, signal);
  return html("div", "rfwidget-page", {}, [choice, html("div", "rfwidget-stage", {}, [photo, scene, overlay])]);
}
