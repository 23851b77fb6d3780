/** Bundles the browser side into the Python package, and refuses to grow beyond what loads without a thought. */

import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { build as buildStyle } from "esbuild";
import { build } from "rolldown";

const STATIC = "rfwidget/widget/static";
const LIMIT = 25_000; // bytes, gzipped

/** Each kind of input has bundles of its own, of the same sources: nobody loads what is for another. */
const KINDS = ["", "-volumes"];

/** Minified by Rolldown, whose output is 900 bytes smaller, gzipped, than that of esbuild. */
const script = (input, file, format) =>
  build({
    input,
    platform: "browser",
    transform: { target: "es2022" },
    output: { file, format, minify: true, comments: false },
  });

await Promise.all([
  ...KINDS.flatMap((kind) => [
    script(`js/kernel${kind}.ts`, `${STATIC}/overlay${kind}.js`, "esm"),
    script(`js/page${kind}.ts`, `${STATIC}/standalone${kind}.js`, "iife"),
  ]),
  buildStyle({
    bundle: true,
    minify: true,
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
    entryPoints: ["js/view/overlay.css"],
    outfile: `${STATIC}/overlay.css`,
  }),
]);

for (const name of [...KINDS.flatMap((kind) => [`overlay${kind}.js`, `standalone${kind}.js`]), "overlay.css"]) {
  const size = gzipSync(readFileSync(`${STATIC}/${name}`)).length;
  process.stdout.write(`${STATIC}/${name}: ${size} bytes gzipped\n`);
  if (size > LIMIT) throw new Error(`${name} has ${size} bytes gzipped; the limit is ${LIMIT}`);
}
