// page.js and react.js beside it, for a browser.
import { build } from "esbuild";

await build({
  entryPoints: ["page.ts", "react.jsx"],
  bundle: true,
  outdir: ".",
  format: "esm",
  jsx: "automatic",
  define: { "process.env.NODE_ENV": '"production"' },
  logLevel: "error",
});
