// Prints a character that a package brings, as a file of JSON would hold it. Usage: node characters.mjs MODULE NAME
import { pathToFileURL } from "node:url";

const [file, name] = process.argv.slice(2);
const found = await import(pathToFileURL(file));
process.stdout.write(`\nCHARACTER ${JSON.stringify(found[name])}\n`, () => process.exit(0));
