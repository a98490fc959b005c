"use strict";
// What moves: lists are fetched anew every few seconds, a run's view as often as the server says, its lines as they come.
// Only while somebody looks: a browser has six connections to a host, and a view costs the server a process.
(() => {
  const parsed = (html) => new DOMParser().parseFromString(html, "text/html");
  const seconds = (n) => new Promise((done) => setTimeout(done, 1000 * n));
  const seen = async () => {
    while (document.hidden) await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
  };

  // takes over what has changed, so that focus, open details and places scrolled to stay
  function replace(old, fresh) {
    if (old.outerHTML === fresh.outerHTML) return false;
    const index = (element, among) => [...among.querySelectorAll("a, button, summary, select, [tabindex]")].indexOf(element);
    const focus = old.contains(document.activeElement) ? document.activeElement : null;
    const at = focus && (focus === old ? -1 : index(focus, old));
    old.querySelectorAll("details").forEach((d, i) => {
      const same = fresh.querySelectorAll("details")[i];
      if (same) same.open = d.open;
    });
    const places = [...old.querySelectorAll(".scroll")].map((e) => [e.scrollLeft, e.scrollTop]);
    old.replaceWith(fresh);
    fresh.querySelectorAll(".scroll").forEach((e, i) => { if (places[i]) [e.scrollLeft, e.scrollTop] = places[i]; });
    if (focus) {
      const again = (focus.id && document.getElementById(focus.id)) ||
        (at >= 0 && fresh.querySelectorAll("a, button, summary, select, [tabindex]")[at]) || document.getElementById("main");
      again.focus({ preventScroll: true });
    }
    return true;
  }

  async function refresh() {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.redirected) { location.reload(); return; }
    if (!answer.ok) return;
    const page = parsed(await answer.text());
    document.title = page.title;
    document.querySelectorAll("[data-live]").forEach((old) => {
      const fresh = page.getElementById(old.id);
      if (!fresh) return;
      if (old.dataset.live !== "text") replace(old, document.adoptNode(fresh));
      else if (old.textContent !== fresh.textContent) old.textContent = fresh.textContent;
    });
  }

  async function refreshing(every) {
    for (;;) {
      await seconds(every);
      await seen();
      try { await refresh(); } catch { /* the daemon is away: the next time, perhaps */ }
    }
  }

  const list = document.querySelector("[data-every]");
  if (list) refreshing(Number(list.dataset.every));

  const asof = document.getElementById("asof");
  if (!asof) return;
  const run = "/runs/" + asof.dataset.run;
  const view = document.getElementById("view");
  let state = asof.dataset.state, version = "", wake = () => {};

  // sections that are the same stay as they are; charts stay, and are drawn anew in place
  function show(made) {
    const fresh = parsed("<div>" + made.html + "</div>").body.firstElementChild;
    const key = (section) => section.id || section.className;
    const before = new Map([...view.querySelectorAll(":scope > section, :scope > nav")].map((s) => [key(s), s]));
    const charts = (section) => [...section.querySelectorAll("figure")].map((f) => f.className).join();
    let last = null;
    for (const section of [...fresh.querySelectorAll(":scope > section, :scope > nav")]) {
      const old = before.get(key(section));
      before.delete(key(section));
      let placed = document.adoptNode(section);
      if (old && placed.id === "charts" && charts(old) === charts(placed)) {
        old.querySelectorAll("figure").forEach((figure, i) => {
          const new_ = placed.querySelectorAll("figure")[i];
          replace(figure.querySelector("figcaption"), new_.querySelector("figcaption"));
          figure.querySelector(".plot").setAttribute("aria-label", new_.querySelector(".plot").getAttribute("aria-label"));
        });
        placed = old;
      } else if (old) {
        if (!replace(old, placed)) placed = old;
      }
      if (placed.parentNode !== view || placed.previousElementSibling !== last) {
        if (last) last.after(placed); else view.prepend(placed);
      }
      last = placed;
    }
    for (const gone of before.values()) gone.remove();
    view.querySelectorAll(":scope > p, :scope > noscript").forEach((p) => p.remove());
    globalThis.soakCharts.show(made.data);
  }

  const told = (text) => {
    const making = document.getElementById("making");
    if (making) making.textContent = text;
  };

  async function viewing() {
    for (;;) {
      await seen();
      if (state !== "queued") {
        let again = 10;
        try {
          const answer = await fetch(run + "/view", { headers: version ? { "If-None-Match": version } : {} });
          if (answer.redirected) { location.reload(); return; }
          again = Number(answer.headers.get("Refresh-After") || (answer.status >= 429 ? 10 : 0));
          if (answer.status === 200) {
            version = answer.headers.get("ETag");
            show(await answer.json());
          } else if (answer.status === 202 || answer.status === 404) {
            told((await answer.json()).why || "Nothing is measured yet: the target is being started.");
          }
          const going = again > 0 && state !== "ended";
          asof.textContent = going ? "As of " + new Date().toISOString().slice(11, 19) + " UTC. It moves by itself." : "";
          if (again === 0) again = state === "ended" ? 0 : 5;
        } catch {
          asof.textContent = "The daemon does not answer; what is below was measured before.";
        }
        if (again === 0) { await new Promise((done) => { wake = done; }); continue; }
        await Promise.race([seconds(again), new Promise((done) => { wake = done; })]);
      } else {
        await new Promise((done) => { wake = done; });
      }
    }
  }

  const lines = document.getElementById("lines");
  function line(text) {
    const place = document.getElementById("lines");
    if (!place) return;
    const atEnd = place.scrollTop + place.clientHeight >= place.scrollHeight - 8;
    place.append(text + "\n");
    while (place.childNodes.length > 200) place.firstChild.remove();
    if (atEnd) place.scrollTop = place.scrollHeight;
  }

  let source = null, kept = "", over = false;
  function watch() {
    if (document.hidden || over) {
      if (source) { source.close(); source = null; }
      return;
    }
    if (source) return;
    if (lines) lines.textContent = "";
    source = new EventSource(run + "/events");
    const changed = (event) => {
      if (event.data === kept) return;
      const first = kept === "";
      const was = state;
      kept = event.data;
      state = JSON.parse(event.data)[0];
      if (was === "queued" && state !== "queued") { location.reload(); return; }
      if (!first || was !== state) refresh().catch(() => {});
      if (was !== state) wake();
    };
    source.addEventListener("run", changed);
    source.addEventListener("line", (event) => line(event.data));
    source.addEventListener("end", (event) => { changed(event); over = true; watch(); });
  }
  document.addEventListener("visibilitychange", watch);
  watch();
  if (state !== "ended" || document.getElementById("making")) viewing();
})();
