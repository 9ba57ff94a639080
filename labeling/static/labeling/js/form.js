import { $, say } from "./shell.js";
import { t } from "./words.js";

// A work screen's form: its state as a draft, and the one place that says what has become of it.
export const form = $("#task");
export const mode = form.dataset.mode; // working, revising or late (screen.py)
const CONTROL = new Set(["csrfmiddlewaretoken", "token", "submission", "opened", "active_seconds", "revising", "view", "mode"]);
const MANY = /^(flag-|check$|prompt_flag$)/;

/* ---------- the form as a draft ---------- */
export function read() {
  const draft = {};
  for (const [name, value] of new FormData(form)) {
    if (CONTROL.has(name) || value === "") continue;
    if (MANY.test(name)) (draft[name] ??= []).push(value);
    else draft[name] = value;
  }
  return draft;
}
export function fill(draft) {
  for (const control of form.elements) {
    if (!control.name || CONTROL.has(control.name)) continue;
    const said = draft[control.name] ?? "";
    if (control.type === "radio" || control.type === "checkbox") control.checked = [said].flat().includes(control.value);
    else if (control.matches("textarea, input")) control.value = said;
  }
}
/** The same for equal drafts, whatever order their fields come in; empty lists say nothing. */
export const textOf = (draft) => JSON.stringify(Object.entries(draft).filter(([, value]) => value.length).sort(([a], [b]) => (a < b ? -1 : 1)));

/* ---------- saying what has become of it ---------- */
const status = $("[data-saved] span"), unsaved = $("[data-unsaved]"), note = $("[data-banner]");
export function show(text, isTrouble = false) { // a phone has room for trouble only
  status.textContent = unsaved.textContent = text;
  unsaved.hidden = !isTrouble;
}
/** A sentence above Submit, with what can be done about it: [label, function or address] each; nothing takes it away. */
export function banner(text, choices = []) {
  note.hidden = !text;
  $("span", note).textContent = text ?? "";
  $("[data-choices]", note).replaceChildren(...choices.map(([label, act]) => {
    const link = typeof act === "string";
    const control = Object.assign(document.createElement(link ? "a" : "button"), { textContent: label });
    control.classList.add("btn", "tiny");
    if (link) control.href = act; else { control.type = "button"; control.addEventListener("click", act); }
    return control;
  }));
  if (text) say(text);
}
/** The session ended, or began anew elsewhere: opening this address leads through the sign-in page and back. */
export const signedOut = () => banner(t("You have been signed out. Your work is kept on this device and comes back when you have signed in."), [[t("Sign in and go on"), location.pathname]]);
export const reload = () => [t("Reload the page"), location.pathname];
