"use strict";
// What is on changes by itself, so the page asks for itself anew now and then, and shows what is different. Without this the browser loads it
// anew. When it was made is told outside of what is compared: else all would be new each minute, and be read out anew.
const every = 15000, patience = 10000;
async function look() {
  const note = document.getElementById("link");
  try {
    const r = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(patience) }); // a network that is gone refuses nothing
    if (!r.ok) throw new Error();
    const page = new DOMParser().parseFromString(await r.text(), "text/html"), next = page.getElementById("live"), made = page.getElementById("link");
    const here = document.getElementById("live"), focus = here.contains(document.activeElement) ? document.activeElement.getAttribute("href") : "";
    if (next && next.innerHTML !== here.innerHTML) {
      here.replaceChildren(...next.childNodes);
      if (focus) (here.querySelector(`a[href="${CSS.escape(focus)}"]`) || document.body).focus();
    }
    if (note && made) {
      note.textContent = made.textContent;
      delete note.dataset.old;
    }
  } catch {
    if (note && !note.dataset.old) { note.textContent += " Not connected: what you see may be old."; note.dataset.old = "1"; }
  }
}
setInterval(look, every);
