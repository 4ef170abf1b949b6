// Which models hear, speak, take turns and answer, in words.

const PARTS: readonly (readonly [string, string])[] = [
  ["ears", "Hears with"],
  ["voice", "speaks with"],
  ["turn", "knows the end of a turn by"],
  ["llm", "answers with"],
];

/** One line of what the server names; empty where it names nothing. */
export function modelsInWords(models: Readonly<Record<string, string>>): string {
  const said = PARTS.flatMap(([kind, words]) => (models[kind] ? [`${words} ${models[kind]}`] : [])).join(", ");
  return said && `${said.charAt(0).toUpperCase()}${said.slice(1)}.`;
}
