// Elements from data. Text is always text: nothing that the API says is read as HTML.

/** An element; an attribute that is true stands without a value, one that is false or null is left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

export const byId = (id) => document.getElementById(id);

/**
 * Have `work(elements)` done when a form is sent. Its buttons stand disabled in the page until then, and while it runs:
 * before the script is there a form has nowhere to go, and nothing is asked for twice.
 */
export function onSubmit(form, work) {
  const enable = (enabled) => form.querySelectorAll("[type=submit]").forEach((button) => (button.disabled = !enabled));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    enable(false);
    try {
      await work(form.elements);
    } finally {
      enable(true);
    }
  });
  enable(true);
}

/** Say something where screen readers hear it; `kind` is good, bad or nothing. */
export function say(text, kind = "") {
  byId("message").replaceChildren(...(text ? [h("p", { class: `notice ${kind}` }, text)] : []));
}

/** A table; a cell is text, a number in its own words, or an element. Wide ones scroll, by keyboard too. */
export function table(caption, head, rows, { numeric = [] } = {}) {
  const cells = (row, tag) =>
    row.map((cell, column) =>
      column === 0 && tag === "td"
        ? h("th", { scope: "row" }, cell)
        : h(tag, { class: numeric.includes(column) ? "number" : null, scope: tag === "th" ? "col" : null }, cell),
    );
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", { class: "visually-hidden" }, caption),
      h("thead", {}, h("tr", {}, ...cells(head, "th"))),
      h("tbody", {}, ...rows.map((row) => h("tr", {}, ...cells(row, "td")))),
    ),
  );
}

/** Pairs of a description list. */
export function facts(list, pairs) {
  list.replaceChildren(...pairs.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}
