// js-tiktoken, whose address follows the question mark of this module's own: each encoding is made once.
const real = await import(new URL(import.meta.url).search.slice(1));
const made = new Map();
const once = (make) => (name) => made.get(name) ?? made.set(name, make(name)).get(name);

export const encodingForModel = once(real.encodingForModel);
export const getEncoding = once(real.getEncoding);
