import { $, $$, say } from "./shell.js";
import { banner, form, mode, reload, show, signedOut } from "./form.js";
import { t } from "./words.js";
import { announceSubmitted, close, forget, keep, reopen, restore, save, send } from "./drafts.js";

// What every work screen needs besides drafts: active time, the lease, submitting, skipping, taking back.
export { fill, read } from "./form.js";
export { save };

/* ---------- active time: paused while hidden or idle ---------- */
const IDLE = 60_000, AHEAD = 120_000;
const seconds = $("[data-active]", form);
let touched = Date.now();
["pointerdown", "pointermove", "keydown", "scroll", "input"].forEach((kind) => addEventListener(kind, () => { touched = Date.now(); }, { passive: true, capture: true }));
setInterval(() => {
  if (!document.hidden && Date.now() - touched < IDLE) { seconds.value = Number(seconds.value) + 1; watchBreak(); }
  showTime();
  watchLease();
}, 1000);
function showTime() {
  const s = Number(seconds.value);
  $("[data-timer]").textContent = `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
}

/* ---------- a break: a quiet notice after so much active time in a row, over all tasks of this tab ---------- */
const REST = 300_000, RUN = "loop-unbroken"; // five minutes without activity are a break
const rest = $("[data-break]");
function watchBreak() {
  if (!rest) return;
  let [run, last] = (sessionStorage.getItem(RUN) ?? "0 0").split(" ").map(Number);
  if (Date.now() - last > REST) { run = 0; rest.hidden = true; }
  sessionStorage.setItem(RUN, `${run += 1} ${Date.now()}`);
  if (run < Number(rest.dataset.break) * 60 || !rest.hidden) return;
  rest.hidden = false;
  say($("span", rest).textContent);
}
if (rest) $("[data-rested]", rest).addEventListener("click", () => { rest.hidden = true; sessionStorage.removeItem(RUN); });

/* ---------- the lease: a warning two minutes ahead, one button to keep it ---------- */
const notice = $("[data-lease]");
let ends = 0;
const lease = (left) => { ends = left ? Date.now() + left * 1000 : 0; watchLease(); };
function watchLease() { // by the wall clock: a sleeping laptop stops timers, not leases
  const left = ends - Date.now();
  const text = !ends || left > AHEAD ? "" : left > AHEAD / 2 ? t("This task goes back to the queue in two minutes.") : left > 0 ? t("This task goes back to the queue in less than a minute.") : t("Your time for this task is over. Your draft is kept; you can go on while nobody else has taken it.");
  if ($("span", notice).textContent === text) return;
  $("span", notice).textContent = text;
  notice.hidden = !text;
  if (text) say(text);
}
$("[data-keep]", notice).addEventListener("click", () => send({ force: true }));

/* ---------- submitting: the same key until the server has answered ---------- */
const LEAVES = new Set(["save", "preview", "write", "discard", "more"]);
const pause = (ms) => new Promise((go) => { setTimeout(go, ms); addEventListener("online", go, { once: true }); });
let attempt = null;

export function guardSubmit(firstGap) { // firstGap() says what is missing and moves there, or returns false
  form.addEventListener("submit", (e) => {
    if (LEAVES.has(e.submitter?.value)) { close(); if (e.submitter.value === "discard") forget(); return; }
    e.preventDefault();
    if (!attempt && !firstGap()) submit();
  });
  form.addEventListener("input", () => { // what is sent is what was there when Submit was pressed
    if (!attempt) return;
    attempt.abort();
    stop(t("Not submitted: you changed something. Submit again when you are done."));
  });
}
function stop(text, choices) {
  attempt = null;
  $(".finish .primary").removeAttribute("aria-busy");
  reopen();
  banner(text, choices);
}
async function submit() {
  const mine = attempt = new AbortController();
  const body = new URLSearchParams(new FormData(form));
  keep(); // on this device until the server has confirmed
  close();
  show(t("Submitting"));
  $(".finish .primary").setAttribute("aria-busy", "true");
  for (let wait = 1000; attempt === mine; wait = Math.min(2 * wait, 15_000)) {
    try {
      const answer = await fetch(location.href, { method: "POST", body, redirect: "manual", credentials: "same-origin", headers: { Accept: "application/json" }, signal: mine.signal });
      if (![502, 503, 504].includes(answer.status)) return await settle(answer);
    } catch {
      if (attempt !== mine) return;
    }
    show(t("Offline, kept on this device"));
    banner(t("No connection. Your work is kept on this device and is submitted as soon as you are back. Keep this page open."));
    await pause(wait);
  }
}
async function settle(answer) {
  const json = answer.headers.get("Content-Type")?.includes("json");
  if (answer.ok && json) {
    forget();
    announceSubmitted();
    location.assign((await answer.json()).next);
  } else if (answer.type === "opaqueredirect" || (answer.status === 403 && !json)) { stop(); signedOut(); }
  else if (answer.status === 400) form.submit(); // the page with what is wrong beside each field
  else stop(json ? (await answer.json()).detail : t("The server could not take it. Your work is kept on this device: try again in a minute."), answer.status < 500 ? [reload()] : []);
}

/* ---------- skipping, taking back ---------- */
const dialog = $("#skip");
$$("[data-skip]").forEach((link) => link.addEventListener("click", (e) => {
  e.preventDefault();
  dialog.showModal();
  const why = $(`[name=reason][value="${link.dataset.skip}"]`, dialog);
  if (why) why.checked = true;
  (why ?? $("[name=reason]", dialog)).focus();
}));
$("[data-keep-task]").addEventListener("click", () => dialog.close());
dialog.addEventListener("submit", () => { close(); forget(); });

const offer = $("[data-recall]");
if (offer) setTimeout(() => offer.remove(), 10_000);
export function takeBack() { // true while the offer stands
  if (offer?.isConnected) offer.requestSubmit();
  return Boolean(offer?.isConnected);
}

/* ---------- what may distress stays blurred until it is asked for; this tab remembers ---------- */
const shown = `shown:${form.dataset.slot}`;
function reveal() {
  sessionStorage.setItem(shown, "yes");
  delete form.dataset.veiled;
  $$("[inert]", form).forEach((part) => { part.inert = false; });
  $("[data-warning]").remove();
}
if ("veiled" in form.dataset) {
  $("[data-reveal]").addEventListener("click", (e) => { e.preventDefault(); reveal(); $("#main").focus(); });
  if (sessionStorage.getItem(shown)) reveal(); else $("[data-reveal]").focus();
}

export function start(render) {
  restore(render, lease);
  if (mode === "working") lease(Number(form.dataset.leaseSeconds));
  showTime();
  render();
  save();
}
