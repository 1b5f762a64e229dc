// Hooks of node's loader: which modules a case of serve.mjs has anew, and which it shares with the cases before.

/** Eliza's modules carry the mark of the case that imports them; its tokenizer, seconds in the making, is made once. */
export async function resolve(name, context, next) {
  const found = await next(name, context);
  const mark = context.parentURL ? new URL(context.parentURL).search : "";
  if (!mark.startsWith("?case=")) return found;
  if (name === "js-tiktoken") return { url: `${new URL("./tokens.mjs", import.meta.url)}?${found.url}`, shortCircuit: true };
  return found.url.includes("/node_modules/@elizaos/") ? { ...found, url: found.url + mark } : found;
}
