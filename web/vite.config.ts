import { fileURLToPath } from "node:url";

import { defineConfig } from "vite";

import { worklets } from "./packages/client/vite-worklet.ts";
import { inlineStyle } from "./vite-inline.ts";

const client = (file: string): string => fileURLToPath(new URL(`packages/client/src/${file}`, import.meta.url));

// The page is shipped inside the Python package; the server serves this folder.
export default defineConfig({
  base: "./",
  plugins: [worklets(), inlineStyle()],
  resolve: {
    alias: [
      { find: /^@parley\/client$/, replacement: client("index.ts") },
      { find: /^@parley\/client\/livekit$/, replacement: client("livekit.ts") },
    ],
  },
  build: {
    outDir: "../src/parley/server/static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { "/v1": { target: "http://127.0.0.1:8080", ws: true }, "/health": "http://127.0.0.1:8080" } },
});
