// The page's one style sheet stands in the page itself, and its scripts come after it: the first paint waits for nothing
// but the page.
// The server allows it by the hash of what it sends (server/page_policy.py).

import type { Plugin } from "vite";

const SCRIPT = /<(script type="module"|link rel="modulepreload") /g;
const LINK = /[ \t]*<link rel="stylesheet"[^>]*href="\.\/([^"]+\.css)"[^>]*>\n?/g;

export function inlineStyle(): Plugin {
  return {
    name: "parley-inline-style",
    apply: "build",
    transformIndexHtml: {
      order: "post",
      handler(html, { bundle }) {
        return html.replace(SCRIPT, '<$1 fetchpriority="low" ').replace(LINK, (link, file: string) => {
          const sheet = bundle?.[file];
          if (sheet?.type !== "asset") throw new Error(`${link.trim()} names no style sheet of the build`);
          delete bundle?.[file];
          return `    <style>${String(sheet.source).trim()}</style>\n`;
        });
      },
    },
  };
}
