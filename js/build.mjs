/** Bundles the browser side into the Python package, and refuses to grow beyond what loads without a thought. */

import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const STATIC = "rfwidget/widget/static";
const LIMIT = 25_000; // bytes, gzipped

const common = { bundle: true, minify: true, target: "es2022", charset: "utf8", legalComments: "none" };

await Promise.all([
  build({ ...common, entryPoints: ["js/kernel.ts"], outfile: `${STATIC}/overlay.js`, format: "esm" }),
  build({ ...common, entryPoints: ["js/page.ts"], outfile: `${STATIC}/standalone.js`, format: "iife" }),
  build({ ...common, entryPoints: ["js/view/overlay.css"], outfile: `${STATIC}/overlay.css` }),
]);

for (const name of ["overlay.js", "standalone.js", "overlay.css"]) {
  const size = gzipSync(readFileSync(`${STATIC}/${name}`)).length;
  process.stdout.write(`${STATIC}/${name}: ${size} bytes gzipped\n`);
  if (size > LIMIT) throw new Error(`${name} has ${size} bytes gzipped; the limit is ${LIMIT}`);
}
