// What the page says, in its language: the same texts that the server fills the frame with.

export const language = document.documentElement.lang;
const locale = language === "pt" ? "pt-BR" : "en-GB";

/** Of decimals and of thousands, as Plotly takes them. */
export const separators = language === "pt" ? ",." : ".,";

const words = await (await fetch(new URL(`../translations/${language}.json`, import.meta.url))).json();

/** The text of a key, with its places in braces filled; a key that is missing shows itself. */
export function t(key, places = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (place, name) => places[name] ?? place);
}

/** Whether there is a text of this key. */
export function has(key) {
  return key in words;
}

/** A price in its currency; without one, where the API knows none. */
export function price(value, currency) {
  if (value == null) return t("none");
  const options = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  return new Intl.NumberFormat(locale, currency ? { ...options, style: "currency", currency } : options).format(value);
}

/** A fraction as percent. */
export function percent(value, digits = 1) {
  if (value == null) return t("none");
  return new Intl.NumberFormat(locale, { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

/** A number with as many digits after the point at most. */
export function number(value, digits = 2) {
  if (value == null) return t("none");
  return new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(value);
}

/** A figure with its limits, each as `format` writes it; without them where there are too few days for any. */
export function within(value, limits, format) {
  if (value == null) return t("none");
  return limits == null ? format(value) : `${format(value)} (${format(limits[0])} … ${format(limits[1])})`;
}

/** A day such as 2013-03-01, which is of no time zone. */
export function day(iso, style = { day: "numeric", month: "short", year: "numeric" }) {
  if (iso == null) return t("none");
  return new Intl.DateTimeFormat(locale, { ...style, timeZone: "UTC" }).format(new Date(`${iso}T00:00:00Z`));
}

/** An instant, in the reader's time zone. */
export function instant(iso) {
  if (iso == null) return t("none");
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }).format(new Date(iso));
}
