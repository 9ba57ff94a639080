import { $ } from "./shell.js";
import { bind } from "./keys.js";
import { t } from "./words.js";

// A accepts, E edits, R goes to the note first and returns once it is written.
bind("a", t("Accept"), () => { $("[data-accept]")?.requestSubmit(); });
bind("e", t("Edit"), () => { $("[data-edit]")?.click(); });
bind("r", t("Return with a note"), () => {
  const note = $("[data-return] textarea");
  if (!note) return;
  if (note.value.trim()) note.form.requestSubmit();
  else note.focus();
});
