// Pages for administrators: everybody else is told so. What they may do, the API decides each time anew.

import { byId } from "./dom.js";
import { needSession } from "./layout.js";
import { scopes } from "./session.js";

/** Return where an administrator is signed in; else say who may read the page, and never return. */
export async function needAdmin() {
  await needSession();
  const isAdmin = scopes().includes("admin");
  byId("not-for-you").hidden = isAdmin;
  byId("for-admins").hidden = !isAdmin;
  if (!isAdmin) await new Promise(() => {});
}
