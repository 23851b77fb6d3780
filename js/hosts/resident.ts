/** The heat maps that are in the page before anybody asks for them: those of one layer, image and channel. */

import { sameCell } from "../geometry.js";
import type { Cell, LevelMap, Picture } from "../protocol.js";

/** How many heat maps are there. */
export interface Live {
  held: number;
  /** As many as are to be there; 0: none. */
  wanted: number;
  /** Cells of the grid. */
  cells: number;
  /** Whether one of them has half the resolution. */
  coarse: boolean;
}

export class ResidentMaps {
  readonly #maps = new Map<string, Picture>();
  #coarse = 0;

  get size(): number {
    return this.#maps.size;
  }

  /** Whether some are coarse. */
  get coarse(): boolean {
    return this.#coarse > 0;
  }

  get(cell: Cell | null): Picture | null {
    return (cell && this.#maps.get(`${cell}`)) ?? null;
  }

  /** Keeps a map; a coarse one never takes the place of an exact one. */
  add(map: Picture): void {
    const known = this.get(map.cell);
    if (known && known.step < map.step) return;
    this.#coarse += Number(map.step > 1) - Number((known?.step ?? 1) > 1);
    this.#maps.set(`${map.cell}`, map);
  }

  /** Drops the farthest from a cell, if there are clearly more than so many. */
  trim(most: number, [x, y]: Cell): void {
    if (this.size <= 1.2 * most + 16) return;
    const away = ({ cell }: Picture) => (cell[0] - x) ** 2 + (cell[1] - y) ** 2;
    const nearest = [...this.#maps.values()].sort((a, b) => away(a) - away(b));
    this.clear();
    for (const map of nearest.slice(0, most)) this.add(map);
  }

  clear(): void {
    this.#maps.clear();
    this.#coarse = 0;
  }
}

/** The map under the pointer, if there is one and it is not that of the selected cell. */
export function underPointer(maps: ResidentMaps, hovered: Cell | null, selected: Cell | null): Picture | null {
  return sameCell(hovered, selected) ? null : maps.get(hovered);
}

/** How many bytes a map has along each side. */
export function sizeOf({ box: [left, top, right, bottom], step }: Pick<LevelMap, "box" | "step">): Cell {
  return [(right - left) / step, (bottom - top) / step];
}
