// The words that scripts show, in the page's language: words-<language>.js, a classic script, has set them before any module runs.
const words = globalThis.words ?? {};
const filled = (text, values) => text.replace(/%\((\w+)\)s/g, (_, name) => values[name]);

/** A text with its %(placeholders)s filled in. */
export const t = (text, values = {}) => filled(words[text] ?? text, values);

/** One or many; n is a value too. Translations hold as many forms as their language needs: Chinese has one. */
export const tn = (one, many, n, values = {}) => {
  const forms = words[one] ?? [one, many];
  return filled(forms[n === 1 ? 0 : forms.length - 1], { n, ...values });
};
