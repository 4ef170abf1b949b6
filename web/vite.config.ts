import { defineConfig } from "vite";

// The page is shipped inside the Python package; the server serves this folder.
export default defineConfig({
  base: "./",
  build: {
    outDir: "../src/parley/server/static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { "/v1": { target: "http://127.0.0.1:8080", ws: true }, "/health": "http://127.0.0.1:8080" } },
});
