/**
 * Starts the overlay on a page without a kernel: for every `script.rfwidget-data`, which holds a page as JSON, it builds
 * the same stage as in a notebook right behind it, a switch for asking, and a choice of layers if there are several.
 */

import { type Page, PageHost } from "./hosts/page-host.js";
import { assign, html, place } from "./view/dom.js";
import { mount } from "./view/overlay.js";
import { imageExtent, stageExtent } from "./view/stage.js";

for (const script of document.querySelectorAll("script.rfwidget-data")) {
  script.after(build(JSON.parse(script.textContent ?? "")));
}

function build(page: Page): HTMLElement {
  const host = new PageHost(page);
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
  const asking = html("input", "", { type: "checkbox" });
  asking.checked = page.asking;
  asking.addEventListener("change", () => host.switchAsking(asking.checked), { signal });
  const title = "Click a pixel or draw a box to mark the cells that see it, as with Shift";
  const asks = html("label", "rfwidget-asks", { title }, [asking, new Text("who sees it?")]);
  const show = () => {
    const { margin, scale, layer } = host.layer;
    photo.classList.toggle("rfwidget-magnified", scale >= 1);
    photo.style.margin = `${margin[1]}px 0 0 ${margin[0]}px`;
    place(photo, imageExtent(host.layer));
    place(scene, stageExtent(host.layer));
    assign(scene, { src: host.layer.scene });
    choice.value = layer;
  };
  host.watch(show, signal);
  show();
  mount(overlay, host, signal);
  const controls = html("div", "rfwidget-choices", {}, [choice, asks]);
  return html("div", "rfwidget-page", {}, [controls, html("div", "rfwidget-stage", {}, [photo, scene, overlay])]);
}
