// Parts of a page that go on changing: fetched with the page itself and put in place, unless somebody is reading with the cursor in them.
const busy = (el) => el.contains(document.activeElement) || (!getSelection().isCollapsed && el.contains(getSelection().anchorNode));

/** Replace every [data-live] element by its newest version. Resolves to the fetched document, or null when the server did not answer. */
export async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" }).catch(() => null);
  if (!answer?.ok || answer.redirected) return null;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const old of document.querySelectorAll("[data-live]")) {
    const now = fresh.getElementById(old.id);
    if (now && !busy(old) && now.innerHTML !== old.innerHTML) { old.replaceWith(document.adoptNode(now)); }
  }
  return fresh;
}

/** Call `once` again and again; it resolves to true for news, false for none, null to stop. Slower while nothing happens, silent while hidden. */
export function poll(once, { first = 2000, slowest = 15000 } = {}) {
  let wait = first, timer;
  const turn = async () => {
    const news = document.hidden ? false : await once();
    if (news === null) return;
    wait = news ? first : Math.min(slowest, wait * 1.4);
    timer = setTimeout(turn, document.hidden ? slowest : wait);
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden && timer) { clearTimeout(timer); wait = first; timer = setTimeout(turn, 0); } });
  timer = setTimeout(turn, first);
}
