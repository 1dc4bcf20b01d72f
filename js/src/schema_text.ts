/** An output schema as the text that its author types: where it breaks, what it asks for. */

export const EXAMPLE = `{
  "type": "object",
  "properties": {
    "text": { "type": "string" },
    "brightness": { "type": "number" }
  },
  "required": ["text"]
}`;

const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/.source;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/.source;
const WORD = `(?:${NUMBER}|true|false|null)(?![\\w.+-])`;
/** White space and the token after it, if there is one. */
const TOKEN = new RegExp(`[ \\t\\r\\n]*([{}[\\],:]|${STRING}|${WORD})?`, "y");

/** What can come next; in capitals where the bracket may close instead. */
type Need = "v" | "V" | "k" | "K" | ":" | "," | "$";
const EXPECTED: Record<string, string> = {
  v: "a value",
  k: 'a name in "quotes"',
  ":": "a colon",
  ",": "a comma or ",
  $: "the end",
};

/** Where a text stops being JSON; null for JSON. Lines and columns count from 1. */
export function jsonProblem(text: string): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch {
    // Every engine says it in other words, and some leave out the place.
    const { at, expected } = firstFault(text);
    const before = text.slice(0, at).split("\n");
    const end = at >= text.length ? ", but the text ends" : "";
    return `Line ${before.length}:${(before.at(-1)?.length ?? 0) + 1}: expected ${expected}${end}`;
  }
}

/** The first token that cannot stand where it does, and what could. */
function firstFault(text: string): { at: number; expected: string } {
  const open: string[] = [];
  let need: Need = "v";
  for (let at = 0; ;) {
    TOKEN.lastIndex = at;
    const [all = "", token = ""] = TOKEN.exec(text) ?? [];
    at += all.length - token.length;
    const kind = token.charAt(0);
    const inside = open.at(-1);
    const wants = need.toLowerCase();
    const closing = inside === "{" ? "}" : "]";
    const after = (depth: number): Need => (depth ? "," : "$");
    if (inside && kind === closing && "VK,".includes(need)) {
      open.pop();
      need = after(open.length);
    } else if (wants === "v" && (kind === "{" || kind === "[")) {
      open.push(kind);
      need = kind === "{" ? "K" : "V";
    } else if (wants === "v" && kind && !"}],:".includes(kind)) need = after(open.length);
    else if (wants === "k" && kind === '"') need = ":";
    else if (need === ":" && kind === ":") need = "v";
    else if (need === "," && kind === ",") need = inside === "{" ? "k" : "v";
    else return { at, expected: EXPECTED[wants] + (need === "," ? closing : "") };
    at += token.length;
  }
}

/** Names of the fields that an object schema describes; none for schemas of other kinds. */
export function schemaFields(text: string): string[] {
  const schema = JSON.parse(text) as { properties?: unknown } | null;
  return Object.keys(schema?.properties ?? {});
}

/** JSON laid out in lines; text that is no JSON stays as it is. */
export function format(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** Whether two texts hold the same JSON, however it is laid out. */
export function sameJson(a: string, b: string): boolean {
  return a === b || format(a.trim()) === format(b.trim());
}
