// One question before what cannot be taken back by the next click: the dialog names what will happen.

import { byId } from "./dom.js";

/**
 * Ask; gives null where the reader leaves it, else what was typed as the reason (empty where none was asked for).
 * The keyboard begins at the answer that changes nothing, and comes back to where it was.
 */
export function sure({ heading, text, yes, askReason = false }) {
  const dialog = byId("sure");
  const before = document.activeElement;
  byId("sure-heading").textContent = heading;
  byId("sure-text").textContent = text;
  byId("sure-yes").textContent = yes;
  byId("sure-reason").value = "";
  byId("sure-reason-part").hidden = !askReason;
  dialog.returnValue = "no";
  dialog.showModal();
  byId("sure-no").focus();
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => {
        before?.focus();
        resolve(dialog.returnValue === "yes" ? byId("sure-reason").value.trim() : null);
      },
      { once: true },
    );
  });
}
