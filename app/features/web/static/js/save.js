// A file that the reader keeps, made of what is in memory: a link could not carry the page's token.

import { h } from "./dom.js";

/** Have the browser save `blob` under `name`. */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = h("a", { href: address, download: name, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // the browser may still be reading
}
