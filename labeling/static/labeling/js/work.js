import { $, say } from "./shell.js";

// What every work screen needs: drafts on the server and, while offline, on the device; active time; the lease; skipping; taking back.
const form = $("#task");
const kept = `draft:${form.dataset.slot}`;
const CONTROL = new Set(["csrfmiddlewaretoken", "token", "submission", "active_seconds", "view", "mode"]);
const MANY = /^(flag-|check$|prompt_flag$)/;

/* ---------- the form as a draft ---------- */
export function read() {
  const draft = {};
  for (const [name, value] of new FormData(form)) {
    if (CONTROL.has(name)) continue;
    if (MANY.test(name)) (draft[name] ??= []).push(value);
    else if (value !== "") draft[name] = value;
  }
  return draft;
}
export function fill(draft) {
  for (const control of form.elements) {
    if (!control.name || CONTROL.has(control.name)) continue;
    const said = draft[control.name];
    if (control.type === "radio" || control.type === "checkbox") control.checked = [said].flat().includes(control.value);
    else if (control.matches("textarea")) control.value = said ?? "";
  }
}

/* ---------- active time: paused while hidden or idle ---------- */
const IDLE = 60_000;
const seconds = $("[data-active]", form);
let touched = Date.now();
["pointerdown", "pointermove", "keydown", "scroll", "input"].forEach((kind) => addEventListener(kind, () => { touched = Date.now(); }, { passive: true, capture: true }));
setInterval(() => {
  if (!document.hidden && Date.now() - touched < IDLE) seconds.value = Number(seconds.value) + 1;
  showTime();
}, 1000);
function showTime() {
  const s = Number(seconds.value);
  $("[data-timer]").textContent = `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
}

/* ---------- saving ---------- */
const status = $("[data-saved] span");
const show = (text) => { status.textContent = text; };
let waiting, sent = JSON.stringify(read()), busy = false, gone = false;

export function save({ now = false } = {}) {
  const draft = read(), text = JSON.stringify(draft);
  if (gone || text === sent) return;
  localStorage.setItem(kept, text);
  clearTimeout(waiting);
  show("Saving");
  waiting = setTimeout(send, now ? 0 : 400);
}
async function send({ closing = false, force = false } = {}) {
  const draft = read(), text = JSON.stringify(draft);
  if (gone || (text === sent && !force) || (busy && !closing)) return;
  const body = JSON.stringify({ token: form.elements.token.value, draft, active_seconds: Number(seconds.value) });
  busy = true;
  try {
    const answer = await fetch(form.dataset.draftUrl, {
      method: "PUT", keepalive: closing && body.length < 60_000, credentials: "same-origin", body,
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": form.elements.csrfmiddlewaretoken.value },
    });
    const said = await answer.json();
    if (answer.ok) { sent = text; localStorage.removeItem(kept); show("Draft saved"); lease(said.lease_seconds); }
    else if (said.code === "lease_lost") { gone = true; show("Not saved"); warn(said.detail); }
    else show(`Not saved: ${said.detail}`);
  } catch {
    show("Offline, kept on this device");
  }
  busy = false;
  if (!gone && JSON.stringify(read()) !== sent) waiting = setTimeout(send, status.textContent.startsWith("Offline") ? 5000 : 400);
}
addEventListener("online", () => send());
addEventListener("pagehide", () => send({ closing: true }));
document.addEventListener("visibilitychange", () => document.hidden && send({ closing: true }));

/* ---------- the lease: a warning two minutes ahead, one button to keep it ---------- */
const notice = $("[data-lease]");
let ends;
function lease(left) {
  clearTimeout(ends);
  notice.hidden = true;
  ends = setTimeout(() => { notice.hidden = false; say($("span", notice).textContent); }, Math.max(0, left - 120) * 1000);
}
$("[data-keep]", notice).addEventListener("click", () => { send({ force: true }); notice.hidden = true; });
function warn(text) {
  $("span", notice).textContent = text;
  $("[data-keep]", notice).hidden = true;
  notice.hidden = false;
  say(text);
}
lease(Number(form.dataset.leaseSeconds));

/* ---------- leaving: submit, skip, take back ---------- */
export function guardSubmit(firstGap) { // firstGap() says what is missing and moves there, or returns false
  form.addEventListener("submit", (e) => {
    if (["save", "preview", "write"].includes(e.submitter?.value)) return;
    if (firstGap()) { e.preventDefault(); return; }
    if (!navigator.onLine) { e.preventDefault(); show("Offline, kept on this device"); say("You are offline. Your work is kept on this device; submit it when you are back."); return; }
    clearTimeout(waiting);
    gone = true; // what is submitted is no draft any more
    localStorage.removeItem(kept);
  });
}
const dialog = $("#skip");
$("[data-skip]").addEventListener("click", (e) => { e.preventDefault(); dialog.showModal(); $("input", dialog).focus(); });
$("[data-keep-task]").addEventListener("click", () => dialog.close());
dialog.addEventListener("submit", () => { gone = true; localStorage.removeItem(kept); });

export function takeBack() { // true while the offer stands
  const offer = $("[data-recall]");
  if (offer) offer.requestSubmit();
  return Boolean(offer);
}
const offer = $("[data-recall]");
if (offer) setTimeout(() => offer.remove(), 10_000);

/* ---------- what this device kept while it could not send ---------- */
export function start(render) {
  const own = localStorage.getItem(kept);
  if (own && own !== sent && !$("[data-server-errors]")) { fill(JSON.parse(own)); say("Your unsent work is back."); }
  form.addEventListener("input", () => save());
  form.addEventListener("change", () => save());
  showTime();
  render();
  save();
}
