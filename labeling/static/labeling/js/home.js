// Keeps the live parts of a page fresh: fetches the page again and swaps what changed. Rests while the tab is hidden.
const EVERY = 4000, LONGEST = 30000;
let wait = EVERY;

function swap(fresh) {
  let changed = false;
  for (const old of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(old.id);
    if (!next || next.innerHTML === old.innerHTML || holds(old)) continue;
    old.replaceChildren(...[...next.childNodes].map((node) => document.importNode(node, true)));
    changed = true;
  }
  return changed;
}

// Somebody is using a control inside: leave it alone until the next look.
const holds = (part) => part.contains(document.activeElement);

async function look() {
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error" });
      if (answer.ok) wait = swap(new DOMParser().parseFromString(await answer.text(), "text/html")) ? EVERY : Math.min(LONGEST, wait * 1.25);
      else if (answer.status === 403 || answer.status === 404) return;
    } catch { wait = Math.min(LONGEST, wait * 2); } // offline, or signed out elsewhere
  }
  setTimeout(look, wait);
}
document.addEventListener("visibilitychange", () => { wait = EVERY; });
setTimeout(look, EVERY);
