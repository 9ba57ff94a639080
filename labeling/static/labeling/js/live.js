import { poll, refresh } from "./regions.js";

// A list with something in it that goes on: until nothing does any more.
let before = "";
poll(async () => {
  const fresh = await refresh();
  if (!fresh) return false;
  const now = fresh.getElementById("live")?.innerHTML ?? "";
  const news = now !== before;
  before = now;
  return fresh.querySelector("#live[data-going]") ? news : null;
}, { first: 3000 });
