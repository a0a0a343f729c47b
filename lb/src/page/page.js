"use strict";
(() => {
  const EVERY = 2000;
  const SVG = "http://www.w3.org/2000/svg";
  const NOTHING = ["noServer", "dialFailed", "dialBudget", "noResources", "queueFull", "queueTimeout"];
  const SHAPES = {
    up: "M2 6.5 5 9.5 10 3", draining: "M6 1.5v6M3 6l3 3.5L9 6", hung: "M4 2.5v7M8 2.5v7",
    unreachable: "M2.5 2.5l7 7M9.5 2.5l-7 7", unknown: "M3.5 4a2.5 2.5 0 1 1 3 2.5V8M6 10.4v.1",
    disabled: "M2.5 6h7",
  };
  let last = null, isPaused = false, failure = "";
  const $ = (id) => document.getElementById(id);
  const make = (tag, kind, text) => {
    const node = document.createElement(tag);
    if (kind) node.className = kind;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const draw = (tag, attributes) => {
    const node = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };
  const say = (node, text) => { if (node.textContent !== text) node.textContent = text; };

  // ---- words for numbers
  const count = (n) => {
    if (n === undefined || n === null) return "–";
    if (n < 100000) return n.toLocaleString("en");
    const units = ["", "k", "M", "G", "T"];
    let at = 0;
    while (n >= 1000 && at < units.length - 1) { n /= 1000; at += 1; }
    return n.toFixed(n < 100 ? 1 : 0) + " " + units[at];
  };
  const bytes = (n) => {
    if (n === undefined || n === null) return "–";
    const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let at = 0;
    while (n >= 1024 && at < units.length - 1) { n /= 1024; at += 1; }
    return (at === 0 || n >= 100 ? n.toFixed(0) : n.toFixed(1)) + " " + units[at];
  };
  const span = (seconds) => {
    const s = Math.max(0, Math.round(seconds));
    if (s < 60) return s + " s";
    if (s < 3600) return Math.floor(s / 60) + " min " + (s % 60) + " s";
    if (s < 86400) return Math.floor(s / 3600) + " h " + Math.floor((s % 3600) / 60) + " min";
    return Math.floor(s / 86400) + " d " + Math.floor((s % 86400) / 3600) + " h";
  };
  const took = (seconds) => seconds < 1 ? (seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0) + " ms" : seconds.toFixed(2) + " s";
  const ago = (time, now) => (now - Date.parse(time)) / 1000;

  // ---- pieces
  const badge = (state) => {
    const node = make("span", "badge " + state);
    const icon = draw("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" });
    icon.append(draw("path", { d: SHAPES[state] || SHAPES.unknown }));
    node.append(icon, document.createTextNode(state));
    return node;
  };
  const graph = () => {
    const node = draw("svg", { class: "graph", viewBox: "0 0 132 30", preserveAspectRatio: "none", role: "img" });
    node.append(draw("line", { class: "floor", x1: 0, x2: 132, y1: 29, y2: 29 }),
      draw("path", { class: "area" }), draw("path", { class: "stroke" }));
    return node;
  };
  const plot = (node, recent) => {
    const values = (recent || []).slice(-60);
    const most = Math.max(1, ...values);
    node.classList.toggle("flat", !values.some((value) => value > 0));
    const from = 60 - values.length;
    const at = (value, i) => ((from + i) * 132 / 59).toFixed(1) + " " + (28 - value * 25 / most).toFixed(1);
    const line = values.length > 1 ? "M" + values.map(at).join("L") : "";
    const floor = line && line + "L132 29L" + (from * 132 / 59).toFixed(1) + " 29Z";
    node.children[1].setAttribute("d", floor);
    node.children[2].setAttribute("d", line);
    const now = values.length ? values[values.length - 1] : 0;
    node.setAttribute("aria-label", "new connections per second: now " + now + ", at most " + Math.max(0, ...values) + " in the last minute");
  };
  const meter = (value, most) => {
    const node = draw("svg", { class: "meter", viewBox: "0 0 100 4", preserveAspectRatio: "none", role: "img",
      "aria-label": value + " of at most " + most });
    node.append(draw("rect", { width: 100, height: 4, rx: 2 }),
      draw("rect", { class: "full", width: Math.min(100, 100 * value / most), height: 4, rx: 2 }));
    return node;
  };
  const tile = (label, value, note, kind) => {
    const node = make("div", "tile" + (kind ? " " + kind : ""));
    node.append(make("div", "label", label), make("div", "value", value), make("div", "note", note || "\u00a0"));
    return node;
  };

  // ---- rows are kept from one look to the next, so that focus stays where it is
  const rows = new Map();
  const states = new Map();
  const rowOf = (key, body, columns) => {
    let row = rows.get(key);
    if (!row || row.parentNode !== body) {
      row = make("tr");
      row.dataset.key = key;
      for (const kind of columns) row.append(make("td", kind));
      body.append(row);
      rows.set(key, row);
    }
    return row;
  };
  const prune = (body, keys) => {
    for (const row of [...body.children]) if (!keys.has(row.dataset.key)) { rows.delete(row.dataset.key); row.remove(); }
  };
  const spark = (cell, recent) => {
    if (!cell.firstChild) cell.append(graph());
    plot(cell.firstChild, recent);
  };
  const rated = (cell, rate, total) => {
    if (!cell.firstChild) cell.append(document.createTextNode(""), make("span", "small"));
    const text = bytes(rate) + "/s";
    if (cell.firstChild.data !== text) cell.firstChild.data = text;
    say(cell.lastChild, bytes(total));
  };
  const nothing = (ends) => NOTHING.reduce((sum, end) => sum + ((ends || {})[end] || 0), 0);

  const frontend = (front, body) => {
    const key = "frontend " + front.name;
    const row = rowOf(key, body, ["name", "mono", "", "n", "n", "spark", "n", "n", "n", "n"]);
    const [name, bind, backend, open, rate, line, sent, received, total, lost] = row.children;
    say(name, front.name);
    say(bind, (front.bind || []).join("  "));
    say(backend, front.backend || "");
    say(open, count(front.open));
    say(rate, count((front.rate || {}).connections));
    spark(line, front.recent);
    rated(sent, (front.rate || {}).sentBytes, front.sentBytes);
    rated(received, (front.rate || {}).receivedBytes, front.receivedBytes);
    say(total, count(front.connections));
    const without = nothing(front.ends);
    say(lost, count(without));
    lost.classList.toggle("warn", without > 0);
    lost.title = Object.entries(front.ends || {}).map(([end, n]) => end + ": " + n).join("\n");
    return key;
  };

  // ---- what one who has signed in may do
  let session = { commands: [] };
  const MEANS = { drain: "new connections go elsewhere", disable: "no new connection goes there, and it is not checked",
    enable: "it is used again as its checks say" };
  const act = async (name, key) => {
    const answer = await fetch("/do/" + name, { method: "POST", headers: { "content-type": "application/json", "x-csrf-token": session.token },
      body: JSON.stringify({ server: key }) });
    const said = await answer.json().catch(() => ({}));
    say($("news"), answer.ok ? key + ": " + name + " ordered" : said.error || "refused");
    failure = answer.ok ? "" : key + ": " + name + " was not done: " + (said.error || answer.status);
    if (answer.status === 401) await whoAmI();
    await look();
  };
  const acts = (node, key, one) => {
    const mode = (one.ordered || {}).mode;
    const fits = (name) => name === "enable" ? mode || one.state === "disabled" : mode !== name && one.state !== "disabled";
    const offered = session.user ? session.commands.filter(fits) : [];
    const words = offered.join(" ");
    if (node.dataset.words === words) return;
    node.dataset.words = words;
    node.replaceChildren(...offered.map((name) => {
      const button = make("button", "", name);
      button.type = "button";
      button.title = MEANS[name] || "";
      button.setAttribute("aria-label", name + " " + key);
      button.addEventListener("click", () => act(name, key));
      return button;
    }));
  };
  const whoAmI = async () => {
    const answer = await fetch("/session", { cache: "no-store" });
    session = await answer.json();
    const sign = $("sign");
    sign.hidden = !session.possible;
    sign.title = session.user ? "signed in as " + session.user : "to drain, enable and disable servers";
    say(sign, session.user ? "Sign out " + session.user : "Sign in");
    if (last) show(last, Date.now());
  };
  const sign = async () => {
    if (!session.user) { say($("signing-said"), ""); $("signing").showModal(); return; }
    await fetch("/session/end", { method: "POST" });
    await whoAmI();
  };
  const signIn = async (event) => {
    event.preventDefault();
    const answer = await fetch("/session", { method: "POST", headers: { "content-type": "application/json" },
      body: JSON.stringify({ user: $("user").value, password: $("password").value }) });
    $("password").value = "";
    if (!answer.ok) {
      const said = await answer.json().catch(() => ({}));
      say($("signing-said"), said.error || "refused");
      $("password").focus();
      return;
    }
    $("signing").close();
    await whoAmI();
  };

  const server = (back, one, body, now) => {
    const key = back.name + "/" + one.name;
    const isNew = !rows.has(key);
    const row = rowOf(key, body, ["", "", "", "n", "n", "spark", "n", "n", "n", "n"]);
    const [who, state, check, open, rate, line, sent, received, total, failed] = row.children;
    if (isNew) {
      row.tabIndex = -1;
      who.append(make("span", "name"), document.createTextNode(" "), make("span", "tag"), make("span", "small mono"));
      state.append(badge(one.state), make("span", "small"));
      check.append(make("span"), make("span", "small"));
      open.append(document.createTextNode(""));
      who.append(make("span", "acts"));
    }
    acts(who.lastChild, key, one);
    say(who.children[0], one.name);
    const tags = [];
    if (one.backup) tags.push("backup");
    if ((one.ordered || {}).mode) tags.push("ordered: " + one.ordered.mode);
    if (one.weight !== 1) tags.push("weight " + one.weight);
    say(who.children[1], tags.join(", "));
    who.children[1].hidden = tags.length === 0;
    say(who.children[2], one.address || "");
    const before = states.get(key);
    if (before !== one.state) {
      state.replaceChild(badge(one.state), state.firstChild);
      if (before !== undefined) {
        say($("news"), back.name + "/" + one.name + " is " + one.state);
        row.classList.remove("changed");
        void row.offsetWidth;
        row.classList.add("changed");
      }
      states.set(key, one.state);
    }
    say(state.lastChild, "for " + span(ago(one.since, now)));
    state.title = "since " + one.since + "; changes so far: " + one.stateChanges;
    const last = one.check;
    say(check.firstChild, last ? last.detail : "none yet");
    check.firstChild.className = last && last.outcome !== "passed" ? "warn" : "";
    say(check.lastChild, last ? took(last.seconds) + ", " + span(ago(last.at, now)) + " ago" : "");
    open.firstChild.data = count(one.open) + (one.maxConnections ? " / " + count(one.maxConnections) : "");
    if (open.children.length) open.lastChild.remove();
    if (one.maxConnections) open.append(meter(one.open, one.maxConnections));
    say(rate, count((one.rate || {}).connections));
    spark(line, one.recent);
    rated(sent, (one.rate || {}).sentBytes, one.sentBytes);
    rated(received, (one.rate || {}).receivedBytes, one.receivedBytes);
    say(total, count(one.connections));
    say(failed, count(one.dialFailures));
    const text = [one.name, one.address, one.state, back.name].join(" ").toLowerCase();
    row.hidden = !text.includes($("filter").value.trim().toLowerCase());
    return key;
  };

  const sections = new Map();
  const HEADS = [["Server"], ["State"], ["Last check"], ["Open", "n"], ["New/s", "n"], ["Last minute", "spark"],
    ["Sent", "n"], ["Received", "n"], ["Total", "n"], ["Failed dials", "n"]];
  const section = (back) => {
    let node = sections.get(back.name);
    if (!node) {
      node = make("section");
      const title = make("h2");
      title.append(document.createTextNode("Backend " + back.name + " "), make("span", "quiet"));
      const scroll = make("div", "scroll"), table = make("table"), head = make("thead"), line = make("tr");
      for (const [word, kind] of HEADS) {
        const cell = make("th", kind, word);
        cell.scope = "col";
        line.append(cell);
      }
      head.append(line);
      table.append(make("caption", "unseen", "Servers of backend " + back.name), head, make("tbody"));
      scroll.append(table);
      node.append(title, scroll);
      $("backends").append(node);
      sections.set(back.name, node);
    }
    return node;
  };

  const backend = (back, now) => {
    const node = section(back);
    const servers = back.servers || [];
    const up = servers.filter((one) => one.state === "up").length;
    const words = [back.balance, up + " of " + servers.length + " up"];
    if (back.waiting) words.push(count(back.waiting) + " waiting for a place");
    say(node.querySelector("h2 .quiet"), words.filter(Boolean).join(" · "));
    const body = node.querySelector("tbody");
    prune(body, new Set(servers.map((one) => server(back, one, body, now))));
  };

  // The address that clients use, where a vip-daemon beside us says who has it.
  const owner = (router, now) => {
    const where = router.owner === "here" ? "here" : router.owner || "not known";
    const note = router.name + ": " + router.state + " for " + span(ago(router.since, now));
    const kind = router.owner === "here" ? "good" : router.owner ? "" : "bad";
    const node = tile((router.addresses || []).join("  "), where, note, kind);
    node.dataset.router = router.name;
    node.title = router.owner === "here" ? "this host has the address" : router.owner ? "that host has the address" : "nobody who has it is heard";
    return node;
  };

  const notice = (text, kind) => make("p", "notice" + (kind ? " " + kind : ""), text);

  const show = (status, now) => {
    const fronts = status.frontends || [], backs = status.backends || [];
    const sum = (key) => fronts.reduce((all, front) => all + ((front.rate || {})[key] || 0), 0);
    const servers = backs.flatMap((back) => back.servers || []);
    const up = servers.filter((one) => one.state === "up").length;
    const lost = fronts.reduce((all, front) => all + nothing(front.ends), 0);
    const waiting = backs.reduce((all, back) => all + (back.waiting || 0), 0);
    document.title = (status.ready ? "" : "NOT READY – ") + up + "/" + servers.length + " up – api-lb";
    say($("host"), location.host);
    say($("headline"), status.phase + ", running for " + span(ago(status.since, now)));
    const notices = [];
    if (!status.ready) notices.push(notice("Not ready: " + (status.notReadyBecause || "no reason given"), "bad"));
    const refused = (status.config || {}).refused;
    if (failure) notices.push(notice(failure));
    if (refused) notices.push(notice("The file on disk is not what runs: " + refused.error));
    $("notices").replaceChildren(...notices);
    $("tiles").replaceChildren(
      tile("Ready", status.ready ? "yes" : "no", status.phase, status.ready ? "good" : "bad"),
      tile("Servers up", up + " of " + servers.length, servers.length - up ? (servers.length - up) + " not up" : "all of them", up === servers.length ? "good" : up ? "" : "bad"),
      tile("Connections", count(status.connections), "of at most " + count((status.limits || {}).connections)),
      tile("New per second", count(sum("connections")), waiting ? count(waiting) + " waiting" : "nobody waits"),
      tile("To servers", bytes(sum("sentBytes")) + "/s"),
      tile("To clients", bytes(sum("receivedBytes")) + "/s"),
      tile("Clients that got nothing", count(lost), "since the start", lost ? "bad" : "good"),
      ...(status.routers || []).map((router) => owner(router, now)));
    const body = $("frontends").tBodies[0];
    prune(body, new Set(fronts.map((front) => frontend(front, body))));
    const names = new Set(backs.map((back) => back.name));
    for (const [name, node] of sections) if (!names.has(name)) { node.remove(); sections.delete(name); }
    backs.forEach((back) => backend(back, now));
    const file = (status.config || {}).file;
    say($("about"), "api-lb " + status.version + " · " + (file || "") + ", read " + span(ago((status.config || {}).loaded, now)) + " ago");
    document.body.dataset.live = "yes";
  };

  // ---- asking
  const look = async () => {
      try {
        const answer = await fetch("/status", { headers: { accept: "application/json" }, cache: "no-store" });
        if (!answer.ok) throw new Error("status " + answer.status);
        last = await answer.json();
        show(last, Date.parse(answer.headers.get("date")) || Date.now());
      } catch (error) {
        say($("headline"), "no answer; asking again");
        $("notices").replaceChildren(notice("api-lb does not answer (" + error.message + "); what is shown is old.", "bad"));
      }
  };
  const ask = async () => {
    if (!isPaused && !document.hidden) await look();
    setTimeout(ask, EVERY);
  };

  // ---- keys and buttons
  const pause = () => {
    isPaused = !isPaused;
    $("pause").setAttribute("aria-pressed", String(isPaused));
    $("pause").firstChild.data = isPaused ? "Go on " : "Pause ";
  };
  const themes = ["system", "light", "dark"];
  const stored = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const setTheme = (name) => {
    if (name === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    say($("theme-name"), name);
    try { localStorage.setItem("theme", name); } catch { /* kept for this page alone */ }
  };
  const nextTheme = () => setTheme(themes[(themes.indexOf($("theme-name").textContent) + 1) % themes.length]);
  const filter = () => { if (last) show(last, Date.now()); };
  const step = (by) => {
    const all = [...document.querySelectorAll("#backends tbody tr")].filter((row) => !row.hidden);
    if (!all.length) return;
    const at = all.indexOf(document.activeElement);
    all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))].focus();
  };
  const keys = {
    "/": () => $("filter").focus(), p: pause, t: nextTheme, "?": () => $("keys").showModal(),
    j: () => step(1), k: () => step(-1), ArrowDown: () => step(1), ArrowUp: () => step(-1),
  };
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches && event.target.matches("input, textarea, select");
    if (event.key === "Escape" && event.target === $("filter")) { $("filter").value = ""; filter(); $("filter").blur(); return; }
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const isArrow = event.key.startsWith("Arrow");
    if (isArrow && !(document.activeElement && document.activeElement.closest("#backends"))) return;
    if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
  });
  $("pause").addEventListener("click", pause);
  $("theme").addEventListener("click", nextTheme);
  $("help").addEventListener("click", keys["?"]);
  $("sign").addEventListener("click", sign);
  $("signing-form").addEventListener("submit", signIn);
  $("signing-close").addEventListener("click", () => $("signing").close());
  $("filter").addEventListener("input", filter);
  setTheme(themes.includes(stored()) ? stored() : "system");
  whoAmI().catch(() => {});
  ask();
})();
