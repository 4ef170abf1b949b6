// Which models hear, speak, take turns and answer, in words.

import { t } from "./words";

const PARTS = ["ears", "voice", "turn", "llm"] as const;

/** One line of what the server names; empty where it names nothing. */
export function modelsInWords(models: Readonly<Record<string, string>>): string {
  const said = PARTS.flatMap((kind) => (models[kind] ? [t(`model_${kind}`, { model: models[kind] })] : [])).join(", ");
  return said && `${said.charAt(0).toUpperCase()}${said.slice(1)}.`;
}
