import { $ } from "./shell.js";
import { bind } from "./keys.js";
import { t } from "./words.js";

// The start page: N continues; the offer to take work back goes away by itself.
bind("n", t("Continue with the next task"), () => { const b = $("[data-continue]"); if (!b) return false; b.click(); return true; });
bind("u", t("Right after submitting: take it back"), () => { $("[data-recall]")?.requestSubmit(); });
const offer = $("[data-recall]");
if (offer) setTimeout(() => offer.remove(), 10_000);
