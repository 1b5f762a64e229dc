// A server on 127.0.0.1 in place of every provider, and a `fetch` that leads there: what was asked is kept.
import { createRequire } from "node:module";
import http from "node:http";

// Some plugins ask their provider at the start with a fetch of their own: no name is looked up here.
const dns = createRequire(import.meta.url)("node:dns");
const lookUp = dns.lookup;
dns.lookup = (host, ...rest) =>
  host === "127.0.0.1" ? lookUp(host, ...rest) : rest.at(-1)(new Error(`${host}: no network in this test`));

const real = globalThis.fetch;
const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
const vector = (length) => Array.from({ length }, (_, n) => (n === 0 ? 1 : 0));

function answer(path, body, lengths) {
  if (path.endsWith("/embeddings")) {
    const length = body.dimensions ?? lengths[body.model] ?? 1536;
    return { object: "list", model: body.model, data: [{ index: 0, embedding: vector(length) }], usage };
  }
  if (path.includes(":embedContent") || path.includes(":batchEmbedContents")) {
    const values = vector(lengths.google ?? 768);
    return { embedding: { values }, embeddings: [{ values }] };
  }
  if (path.endsWith("/api/embed")) return { embeddings: [vector(8)] };
  if (path.endsWith("/api/chat") || path.endsWith("/api/generate")) {
    const times = { total_duration: 1, load_duration: 1, prompt_eval_count: 1, prompt_eval_duration: 1, eval_count: 1, eval_duration: 1 };
    const message = { role: "assistant", content: "ok" };
    return { model: body.model, created_at: "2026-01-01T00:00:00Z", done: true, message, response: "ok", ...times };
  }
  if (path.includes(":generateContent"))
    return { candidates: [{ content: { role: "model", parts: [{ text: "ok" }] }, finishReason: "STOP", index: 0 }],
      usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 } };
  if (path.endsWith("/messages"))
    return { id: "m", type: "message", role: "assistant", model: body.model, stop_reason: "end_turn",
      content: [{ type: "text", text: "ok" }], usage: { input_tokens: 1, output_tokens: 1 } };
  if (path.endsWith("/responses"))
    return { id: "r", created_at: 1, model: body.model, usage: { input_tokens: 1, output_tokens: 1 },
      output: [{ type: "message", id: "m", role: "assistant", content: [{ type: "output_text", text: "ok", annotations: [] }] }] };
  if (path.endsWith("/chat/completions"))
    return { id: "c", created: 1, model: body.model, usage,
      choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: "ok" } }] };
  return {};
}

/** Start the server. lengths: of vectors by model. Gives what was asked, oldest first, and a way to end. */
export async function loopback(lengths = {}) {
  const asked = [];
  const server = http.createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      const text = Buffer.concat(parts).toString();
      const body = text ? JSON.parse(text) : {};
      if (request.method === "POST") asked.push({ to: request.url, body });
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(answer(request.url.split("?")[0], body, lengths)));
    });
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const here = `http://127.0.0.1:${server.address().port}`;
  globalThis.fetch = (target, options) => {
    const url = new URL(typeof target === "string" || target instanceof URL ? target : target.url);
    return real(url.origin === here ? url : `${here}/${url.host}${url.pathname}${url.search}`, options);
  };
  const end = () => {
    server.close();
    server.closeAllConnections();
  };
  return { asked, end };
}

/** The last request since `before`; its address begins with the host that was meant. */
export const last = (asked, before) => (asked.length > before ? asked[asked.length - 1] : null);
