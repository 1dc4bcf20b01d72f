/**
 * Builds src/ into overshoot_nb/widget/static/: widget.js, and tune.js, which is the Tune tab; styles
 * and all.
 *
 *   node build.mjs                 minified and packed
 *   node build.mjs --watch         readable, with source maps, again at every change
 *   node build.mjs --outdir=DIR    somewhere else
 *   node build.mjs --plain         minified, not packed
 *
 * Jupyter writes a widget's source into each notebook that is saved with its widgets, so widget.js
 * is packed: gzip in base64, which unpacks itself when it is imported, is half of its size. tune.js
 * comes from the kernel when it is wanted, and is never saved.
 */

import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
  options: {
    watch: { type: "boolean", default: false },
    plain: { type: "boolean", default: false },
    outdir: { type: "string", default: join(here, "../overshoot_nb/widget/static") },
  },
});

/** Styles become text of the module: a widget in a shadow root takes them along. */
const styles = {
  name: "styles",
  setup(build) {
    build.onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { outputFiles, metafile } = await esbuild.build({
        entryPoints: [path],
        bundle: true,
        metafile: true,
        minify: !options.watch,
        target: "es2022",
        write: false,
      });
      const watchFiles = Object.keys(metafile.inputs).map((file) => join(process.cwd(), file));
      return { contents: outputFiles[0].text, loader: "text", watchFiles };
    });
  },
};

/** A module that unpacks itself. */
async function packed(source) {
  const base64 = gzipSync(source, { level: 9 }).toString("base64");
  const unpacking = `const packed = "${base64}";
const zipped = new Blob([Uint8Array.from(atob(packed), (c) => c.charCodeAt(0))]);
const source = zipped.stream().pipeThrough(new DecompressionStream("gzip"));
const url = URL.createObjectURL(
  new Blob([await new Response(source).text()], { type: "text/javascript" }),
);
const { default: widget } = await import(/* webpackIgnore: true */ /* @vite-ignore */ url);
URL.revokeObjectURL(url);
export default widget;
`;
  return (await esbuild.transform(unpacking, { format: "esm", minify: true })).code;
}

/** Writes one module, and says how large its parts are. */
const writing = (name, pack) => ({
  name: "writing",
  setup(build) {
    build.onEnd(async ({ outputFiles, metafile, errors }) => {
      if (errors.length) return;
      const [{ text, contents }] = outputFiles;
      const [{ inputs }] = Object.values(metafile.outputs);
      const [, { bytesInOutput: styles }] = Object.entries(inputs).find(([path]) =>
        path.endsWith(".css"),
      );
      const module = !pack || options.watch || options.plain ? text : await packed(contents);
      const file = join(options.outdir, name);
      await mkdir(options.outdir, { recursive: true });
      await writeFile(file, module);
      const size = (bytes) => `${(bytes / 1024).toFixed(1)} KB`;
      console.log(
        `${file}: ${size(contents.length - styles)} of script, ${size(styles)} of styles,`,
        `${size(Buffer.byteLength(module))} written`,
      );
    });
  },
});

const moduleOf = (source, name, pack) => ({
  entryPoints: [join(here, source)],
  outfile: join(options.outdir, name),
  bundle: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  minify: !options.watch,
  sourcemap: options.watch ? "inline" : false,
  metafile: true,
  write: false,
  plugins: [styles, writing(name, pack)],
});

const modules = [
  moduleOf("src/index.ts", "widget.js", true),
  moduleOf("src/tune/index.ts", "tune.js", false),
];
for (const module of modules) {
  if (options.watch) await (await esbuild.context(module)).watch();
  else await esbuild.build(module);
}
