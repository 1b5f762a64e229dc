// Loads exports with the real packages, one after another in one process: a start of its own takes seconds.
// Usage: node serve.mjs GENERATION PACKAGES. Reads cases as lines of JSON (folder, character, lengths) from stdin and
// answers each with one line, FINDINGS or FAULT, among what the packages print. Every case has Eliza's own modules
// anew, which read its .env and its environment, and a loopback of its own; what they rest on stays loaded.
import { register } from "node:module";
import path from "node:path";
import readline from "node:readline";
import { pathToFileURL } from "node:url";
import { loopback } from "./loopback.mjs";

register("./anew.mjs", import.meta.url);
const [generation, packages] = process.argv.slice(2);
const { findings } = await import(`./generation_${generation}.mjs`);
const environment = { ...process.env };
let number = 0;

async function answered({ folder, character, lengths }) {
  process.chdir(folder);
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, environment);
  const mark = `case=${(number += 1)}`;
  const folderOf = (name) => path.join(packages, "node_modules", name);
  const load = (name, entry) => import(`${pathToFileURL(path.join(folderOf(name), entry))}?${mark}`);
  const { asked, end } = await loopback(lengths);
  try {
    return `FINDINGS ${JSON.stringify(await findings({ folderOf, load, character, lengths, asked }))}`;
  } catch (error) {
    return `FAULT ${JSON.stringify(error.stack)}`;
  } finally {
    end();
  }
}

for await (const line of readline.createInterface({ input: process.stdin }))
  process.stdout.write(`\n${await answered(JSON.parse(line))}\n`);
process.exit(0); // whatever timers the packages left behind
