"use strict";
// What changes comes by a stream, a part of the page at a time; forms are sent without leaving the page.
const body = document.body, base = body.dataset.base, by = id => document.getElementById(id);
const width = n => matchMedia(`(max-width: ${n}px)`);
let now = +body.dataset.now, at = performance.now(), id = body.dataset.id, source;
const size = () => width(560).matches ? "phone" : width(960).matches ? "sheet" : "desk";
const state = text => { by("link").textContent = text; };

function follow() {
  if (source) source.close();
  source = new EventSource(`${base}/stream?size=${size()}&since=${id}${body.dataset.wall || ""}`);
  source.onopen = () => state("Live.");
  source.onerror = () => {
    state(source.readyState === EventSource.CLOSED ? "No longer connected: load the page again." : "Not connected; trying again. What you see may be old.");
  };
  source.addEventListener("part", e => {
    const p = JSON.parse(e.data), place = by("part-" + p.part);
    if (!place) return;
    const focus = place.contains(document.activeElement) ? document.activeElement.id : "";
    place.innerHTML = p.html;
    if (focus && by(focus)) by(focus).focus();
    clocks();
  });
  source.addEventListener("now", e => { id = e.lastEventId; now = +e.data; at = performance.now(); clocks(); });
}

function clocks() {
  const t = now + (performance.now() - at) / 1000;
  for (const b of document.querySelectorAll("[data-began]")) {
    const s = Math.max(0, Math.floor(t - b.dataset.began));
    b.textContent = `(${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")})`;
  }
}

document.addEventListener("submit", async e => {
  const b = e.submitter, to = b && b.hasAttribute("formaction") ? b.formAction : e.target.action;
  if (!/\/(do\/[a-z]+|links|revoke|evidence)$/.test(to)) return;
  e.preventDefault();
  const said = by("answer"), file = e.target.elements.file;
  if (file && file.files[0] && file.files[0].size > +file.dataset.most) {
    said.textContent = "The file is too large, so nothing was attached: 8 MiB is the most.";
    said.className = "answer bad";
    return;
  }
  said.textContent = "…";
  try {
    const form = new FormData(e.target, b), files = e.target.enctype === "multipart/form-data";
    const r = await fetch(to, { method: "POST", headers: { Accept: "text/plain" }, body: files ? form : new URLSearchParams(form) });
    said.textContent = (await r.text()).trim();
    said.className = r.ok ? "answer" : "answer bad";
    if (r.ok) e.target.reset();
  } catch {
    said.textContent = "The room did not answer; nothing is known of what became of that.";
    said.className = "answer bad";
  }
});

document.addEventListener("keydown", e => {
  if (e.ctrlKey || e.altKey || e.metaKey || e.repeat || !by("keys") || !by("keys").checked || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName) && e.target !== by("keys")) return;
  const b = document.querySelector(`[data-key="${CSS.escape(e.key)}"]`);
  if (b) { e.preventDefault(); b.click(); }
});

for (const n of [560, 960]) width(n).addEventListener("change", () => { id = ""; follow(); });
setInterval(clocks, 1000);
follow();
