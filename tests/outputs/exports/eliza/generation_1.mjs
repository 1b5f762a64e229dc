// Loads an exported character with the real @elizaos/core 1.x and its plugins, and asks each class once.
import fs from "node:fs";
import path from "node:path";
import { last } from "./loopback.mjs";

// The file that node's own `import` would take; packages lie outside of this folder, so it cannot look itself.
const pick = (entry) => (typeof entry === "object" ? pick(entry.node ?? entry.import ?? entry.default) : entry);

/** What was asked by class. */
export async function findings({ folderOf, load, character: file, asked }) {
  for (const name of ["OPENAI", "ANTHROPIC", "OPENROUTER", "GOOGLE_GENERATIVE_AI"]) process.env[`${name}_API_KEY`] = "no-key";
  const entryOf = (name) => {
    const facts = JSON.parse(fs.readFileSync(path.join(folderOf(name), "package.json"), "utf8"));
    return pick(facts.exports?.["."]) ?? facts.main;
  };
  const core = await load("@elizaos/core", entryOf("@elizaos/core"));
  const text = fs.readFileSync(file, "utf8");
  const checked = core.parseAndValidateCharacter(text);
  if (!checked.success) throw new Error(JSON.stringify(checked.error));
  const plugins = [];
  for (const name of checked.data.plugins) plugins.push((await load(name, entryOf(name))).default);

  // The command line hands on only what an installed plugin declares.
  const store = new Proxy({}, { get: (_, name) => (name === "then" ? undefined : async () => []) });
  const runtime = new core.AgentRuntime({ character: checked.data, plugins, settings: {}, adapter: store });
  for (const plugin of plugins) await runtime.registerPlugin(plugin);

  const requests = {};
  const ask = async (name, type, params) => {
    const before = asked.length;
    const answered = await runtime.useModel(type, params);
    requests[name] = { ...last(asked, before), length: Array.isArray(answered) ? answered.length : undefined };
  };
  await ask("SMALL", core.ModelType.TEXT_SMALL, { prompt: "hello" });
  await ask("MEDIUM", core.ModelType.MEDIUM, { prompt: "hello" });
  await ask("LARGE", core.ModelType.TEXT_LARGE, { prompt: "hello" });
  if (runtime.getModel(core.ModelType.TEXT_EMBEDDING)) await ask("EMBEDDING", core.ModelType.TEXT_EMBEDDING, { text: "hello" });
  return { valid: checked.success, plugins: plugins.map((plugin) => plugin.name), requests };
}
