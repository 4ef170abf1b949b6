import { defineConfig } from "vite";

import { worklets } from "./vite-worklet.ts";

// One script for one tag. `--outDir` says where else it goes than into the package.
export default defineConfig({
  plugins: [worklets()],
  build: {
    target: "es2022",
    emptyOutDir: false,
    lib: { entry: "widget/widget.ts", formats: ["iife"], name: "ParleyWidget", fileName: () => "widget.js" },
  },
});
