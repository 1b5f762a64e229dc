// Loads an exported character with the real @elizaos/core 0.x and lets its generateText ask each class.
import fs from "node:fs";
import { last } from "./loopback.mjs";

/** What was asked by class. lengths.words: of the text that is asked. */
export async function findings({ load, character: file, lengths, asked }) {
  // The core reads .env itself, from the working folder upwards, when it is imported.
  const core = await load("@elizaos/core", "dist/index.js");
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
    const text = await core.generateText({ runtime, context: "word ".repeat(lengths.words ?? 1), modelClass });
    requests[modelClass.toUpperCase()] = last(asked, before) ?? last(local, beforeLocal);
    if (text !== "ok") throw new Error(`${modelClass} answered ${text}`);
  }
  const embedding = core.getEmbeddingConfig();
  if (embedding.provider !== "BGE") {
    const before = asked.length;
    const vector = await core.embed(runtime, "hello");
    requests.EMBEDDING = { ...last(asked, before), length: vector.length };
  }
  return { valid: parsed.success, provider: runtime.modelProvider, embedding, requests };
}
