import { defineConfig } from "vite";

import { worklets } from "./vite-worklet.ts";

// What "npm pack" carries: modules that any bundler, or a browser by itself, can take.
export default defineConfig({
  plugins: [worklets()],
  build: {
    target: "es2022",
    lib: { entry: { index: "src/index.ts", livekit: "src/livekit.ts" }, formats: ["es"] },
    rollupOptions: { external: ["livekit-client"] },
  },
});
