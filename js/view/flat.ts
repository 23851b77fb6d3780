/** Signals and images: the picture is one plane. */

import { boxBetween, cellAt, cellsIn } from "../geometry.js";
import type { Host } from "../hosts/host.js";
import type { Cell, Edges } from "../protocol.js";
import { ContourMarks } from "./contours.js";
import type { Asked, Drawings, Kind } from "./kind.js";
import { type Compared, Marks } from "./marks.js";
import { QueryMarks } from "./query-marks.js";
import { Photo } from "./scene-marks.js";
import type { Stage } from "./stage.js";
import { bytesOfImage, takeFiles } from "./upload.js";

export const flat: Kind = {
  cellAt(host, at) {
    const field = host.get("field");
    const grid = host.get("grid");
    return field && cellsIn(grid) ? cellAt(field, grid, at) : null;
  },
  placeOf: (_, [x, y]) => [x, y],
  between: (host, from, to) => boxBetween(from, to, host.get("image_size")),
  pixelAt: (host, [x, y]) => boxBetween([x, y], [x, y], host.get("image_size")),
  heat: ({ shown }) => ({ shown, spots: null }),
  drawings: (host) => new FlatDrawings(host),
  files: { take: takeFiles, read: bytesOfImage },
};

class FlatDrawings implements Drawings {
  readonly photo = new Photo();
  readonly #host: Host;
  readonly #contours = new ContourMarks();
  readonly #marks = new Marks();
  readonly #found = new QueryMarks();
  readonly elements = [this.#contours, this.#marks, this.#found].map(({ element }) => element);

  constructor(host: Host) {
    this.#host = host;
    this.elements.push(this.#contours.labels);
  }

  draw(stage: Stage, hovered: Cell | null, told: Edges | null, compared: Compared | null): void {
    const { selected } = this.#host;
    this.#marks.draw(stage, this.#host.get("field"), selected, hovered, told, compared);
    this.#contours.draw(stage, this.#host.get("contours"), selected);
  }

  drawFound(stage: Stage, asked: Asked | null): void {
    this.#found.draw(stage, this.#host.get("field"), asked);
  }
}
