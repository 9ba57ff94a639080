// Classic, blocking and tiny on purpose: it runs before first paint, so the theme never flashes and no key is lost.
document.documentElement.classList.add("js");
const theme = localStorage.getItem("theme");
if (theme) document.documentElement.dataset.theme = theme;
// Who works by keyboard is faster than the page: keys pressed before its scripts have run wait here, and keys.js takes them.
window.earlyKeys = { pressed: [], keep: (e) => window.earlyKeys.pressed.push(e) };
document.addEventListener("keydown", window.earlyKeys.keep);
