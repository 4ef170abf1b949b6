// page.js beside it, for a browser.
import { build } from "esbuild";

await build({
  entryPoints: ["page.jsx"],
  bundle: true,
  outfile: "page.js",
  format: "esm",
  jsx: "automatic",
  define: { "process.env.NODE_ENV": '"production"' },
  logLevel: "error",
});
