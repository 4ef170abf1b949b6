// `import source from "./some.worklet.ts?worklet"`: the module as one script in a string, for the audio thread.

import { build, type Plugin } from "vite";

const SUFFIX = "?worklet";

export function worklets(): Plugin {
  return {
    name: "parley-worklets",
    enforce: "pre",
    async load(id) {
      if (!id.endsWith(SUFFIX)) return null;
      const entry = id.slice(0, -SUFFIX.length);
      this.addWatchFile(entry);
      const built = await build({
        configFile: false,
        logLevel: "silent",
        build: { write: false, target: "es2022", lib: { entry, formats: ["iife"], name: "worklet" } },
      });
      const [bundle] = Array.isArray(built) ? built : [built];
      const code = bundle && "output" in bundle ? bundle.output[0].code : "";
      if (!code) throw new Error(`${entry} made no script`);
      return `export default ${JSON.stringify(code)};`;
    },
  };
}
