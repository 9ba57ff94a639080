import { $, say } from "./shell.js";
import { banner, fill, form, mode, read, reload, show, signedOut, textOf } from "./form.js";
import { t } from "./words.js";

// Drafts: on the server within a second, on this device until the server has them, and never one over another in silence.
const seconds = $("[data-active]", form);
const place = `draft:${seconds.dataset.person}:${form.dataset.slot}`; // two people may share a device, and even a task
const tabs = new BroadcastChannel(place);
const tried = new Set(); // every draft this tab has sent: one whose answer was lost is no stranger's
let base = form.dataset.savedAt || null; // when the draft was saved that this tab builds on
let sent = textOf(read()), waiting, busy = false, resting = false, closed = false, redraw = () => {}, leased = () => {};

const keepHere = (draft) => localStorage.setItem(place, JSON.stringify({ draft, base }));
export const keep = () => keepHere(read());
export const forget = () => localStorage.removeItem(place);
/** Nothing is saved from here on: it is submitted, or given away. */
export function close() { clearTimeout(waiting); closed = true; }
export const reopen = () => { closed = false; save(); };
export function announceSubmitted() { tabs.postMessage({ submitted: true }); }

export function save() {
  const draft = read();
  if (closed || textOf(draft) === sent) return;
  keepHere(draft);
  clearTimeout(waiting);
  if (resting) return;
  show(t("Saving"));
  waiting = setTimeout(send, 400);
}

export async function send({ leaving = false, force = false } = {}) {
  const draft = read(), text = textOf(draft);
  if (closed || resting || (text === sent && !force) || (busy && !leaving)) return;
  const body = { token: form.elements.token.value, draft, active_seconds: Number(seconds.value), revising: mode === "revising" };
  if (!busy) body.base = base; // a page that closes over a running save cannot know what that one became
  busy = true;
  let down = false;
  tried.add(text);
  const json = JSON.stringify(body);
  try {
    const answer = await fetch(form.dataset.draftUrl, {
      method: "PUT", keepalive: leaving && json.length < 60_000, credentials: "same-origin", body: json,
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": form.elements.csrfmiddlewaretoken.value },
    });
    take(answer, await answer.json(), { draft, text });
  } catch {
    down = true;
    show(t("Offline, kept on this device"), true);
  }
  busy = false;
  if (closed || resting || textOf(read()) === sent) return;
  clearTimeout(waiting);
  waiting = setTimeout(send, down ? 5000 : 400);
}
function take(answer, said, { draft, text }) {
  if (answer.ok) {
    [sent, base] = [text, said.saved_at];
    if (textOf(read()) === sent) forget();
    show(t("Draft saved"));
    $("[data-late]")?.remove();
    leased(said.lease_seconds);
    tabs.postMessage({ draft, saved_at: base });
  } else if (said.code === "lease_lost") { // the server has it beside the task
    sent = text;
    forget();
    show(t("Kept, late"));
    leased(0);
    if (!$("[data-late]")) banner(said.detail);
  } else if (said.code === "draft_changed") {
    if (tried.has(textOf(said.draft))) base = said.saved_at;
    else choose(said);
  } else if (answer.status === 401 || answer.status === 403) rest(signedOut);
  else if (answer.status === 409) rest(() => banner(said.detail, [reload()]));
  else rest(() => banner(said.detail));
}
/** Keep what is typed on this device only, until the person has seen to it. */
function rest(tell) { resting = true; keepHere(read()); show(t("Not saved, kept on this device")); tell(); }

/* ---------- the same task in two tabs ---------- */
function choose(other) { // both are kept until the person says which one stays
  const mine = read();
  rest(() => banner(t("You saved a newer draft of this task in another tab. Which one shall stay?"), [
    [t("Use that one"), () => {
      adopt(other, t("This is the draft from the other tab."), [[t("Go back to mine"), () => { banner(); fill(mine); redraw(); save(); }]]);
    }],
    [t("Keep this one"), () => { base = other.saved_at; resting = false; banner(); send({ force: true }); }],
  ]));
}
function adopt({ draft, saved_at }, why, choices) {
  fill(draft);
  [sent, base, resting] = [textOf(read()), saved_at, false];
  forget();
  redraw();
  show(t("Draft saved"));
  banner(why, choices);
}
tabs.addEventListener("message", ({ data }) => {
  if (closed) return;
  if (data.submitted) rest(() => banner(t("You submitted this task in another tab."), [reload()]));
  else if (textOf(read()) === sent && textOf(data.draft) !== sent) adopt(data, t("You went on in another tab. This is the newer draft."));
});

/* ---------- beginning ---------- */
addEventListener("online", () => send());
addEventListener("pagehide", () => send({ leaving: true }));
document.addEventListener("visibilitychange", () => document.hidden && !busy && send({ leaving: true }));
form.addEventListener("input", save);
form.addEventListener("change", save);

/** What this device kept comes back over the page's draft; saving it then finds out whether the server has a newer one. */
export function restore(render, onLease) {
  [redraw, leased] = [render, onLease];
  const own = JSON.parse(localStorage.getItem(place) ?? "null");
  if (!own || $("[data-server-errors]")) return;
  if (textOf(own.draft) === sent) { forget(); return; }
  fill(own.draft);
  base = own.base;
  say(t("Your unsent work is back."));
}
