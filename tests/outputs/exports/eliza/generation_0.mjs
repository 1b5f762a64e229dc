// Loads an exported character with the real @elizaos/core 0.x and lets its generateText ask each class.
// Usage, in the folder of the export: node generation_0.mjs PACKAGES CHARACTER {"words": N}
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { last, loopback, tell } from "./loopback.mjs";

const [packages, file, given] = process.argv.slice(2);
const words = JSON.parse(given ?? "{}").words ?? 1;
const { asked } = await loopback();
// The core reads .env itself, from the working folder upwards, when it is imported.
const core = await import(pathToFileURL(path.join(packages, "node_modules/@elizaos/core/dist/index.js")));
const character = JSON.parse(fs.readFileSync(file, "utf8"));
core.validateCharacterConfig(character);
const parsed = core.CharacterSchema.safeParse(character);

const local = [];
const service = {
  queueTextCompletion: async (_context, temperature, stop, frequency_penalty, presence_penalty, max_tokens) => {
    local.push({ to: "local", body: { temperature, stop, frequency_penalty, presence_penalty, max_tokens } });
    return "ok";
  },
};
const store = new Proxy({}, { get: (_, name) => (name === "then" ? undefined : async () => []) });
const runtime = new core.AgentRuntime({
  character, token: "no-key", modelProvider: character.modelProvider, databaseAdapter: store,
  cacheManager: store, fetch: globalThis.fetch, evaluators: [], actions: [], providers: [], plugins: [],
});
runtime.getService = () => service;

const requests = {};
for (const modelClass of ["small", "medium", "large"]) {
  const before = asked.length, beforeLocal = local.length;
  const text = await core.generateText({ runtime, context: "word ".repeat(words), modelClass });
  requests[modelClass.toUpperCase()] = last(asked, before) ?? last(local, beforeLocal);
  if (text !== "ok") throw new Error(`${modelClass} answered ${text}`);
}
const embedding = core.getEmbeddingConfig();
if (embedding.provider !== "BGE") {
  const before = asked.length;
  const vector = await core.embed(runtime, "hello");
  requests.EMBEDDING = { ...last(asked, before), length: vector.length };
}
tell({ valid: parsed.success, provider: runtime.modelProvider, embedding, requests });
