"use strict";

// How often the member is asked, and for how long the sparkline remembers, in answers.
const every = 1000;
const remembered = 60;
const patience = 4000;

const at = (id) => document.getElementById(id);
const number = (n) => (n === undefined ? "–" : Number(n).toLocaleString("en"));

// Text goes into the page as text only: addresses and events come from other members.
function put(id, text) {
  const e = at(id);
  if (e.textContent !== text) e.textContent = text;
}

function bytes(n) {
  if (n === undefined || n === null) return "";
  const units = ["B", "KiB", "MiB", "GiB"];
  let i = 0;
  for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
  return `${i ? n.toFixed(1) : n} ${units[i]}`;
}

async function ask(path, options) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(patience), ...options });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error || answer.statusText);
  return body;
}

// What the page remembers between two answers.
const seen = { applied: null, time: -Infinity, rates: [], transferring: 0 };

function rate(status, now) {
  if (now - seen.time < every / 2) return seen.rates.at(-1); // too short to say anything
  const before = seen.applied;
  if (before !== null && status.applied >= before) {
    seen.rates.push(((status.applied - before) * 1000) / (now - seen.time));
    seen.rates = seen.rates.slice(-remembered);
  }
  seen.applied = status.applied;
  seen.time = now;
  return seen.rates.at(-1);
}

function spark() {
  const top = Math.max(1, ...seen.rates);
  const left = remembered - seen.rates.length;
  const points = seen.rates.map((r, i) =>
    `${((left + i) * 120) / (remembered - 1)},${29 - (28 * r) / top}`);
  at("spark").firstElementChild.setAttribute("points", points.join(" "));
}

function state(text) {
  const name = String(text).replace(/^State/, "");
  const kind = /^leader$/i.test(name) ? "good" : /^follower$/i.test(name) ? "" : "warn";
  put("state", name.toLowerCase());
  at("state").className = `badge ${kind}`;
}

function showStatus(s) {
  put("id", String(s.id));
  document.title = `kv member ${s.id}`;
  state(s.state);
  put("leader", s.leader ? `member ${s.leader}` : "none");
  put("term", number(s.term));
  put("commit", number(s.commit));
  put("applied", number(s.applied));
  put("revision", number(s.revision));
  const r = rate(s, performance.now());
  put("rate", r === undefined ? "–" : number(Math.round(r)));
  spark();
  showLog(s);
  showExplain(s.explain);
  showEvents(s.events);
}

function showLog(s) {
  const last = Math.max(1, s.last_log);
  const kept = Math.max(0, s.last_log + 1 - s.first_log);
  at("log-kept").style.width = `${(100 * kept) / last}%`;
  const text = `Entries ${number(s.first_log)} to ${number(s.last_log)} are kept (${bytes(s.log_bytes)}); ` +
    (s.snapshot ? `the newest snapshot is at ${number(s.snapshot)}.` : "there is no snapshot yet.");
  put("log-text", text);
  at("log").setAttribute("aria-label", text);
}

// Explanations are a sentence, or several.
function showExplain(explain) {
  const text = [explain || []].flat().join(" ");
  at("explain-box").hidden = text === "";
  put("explain", text);
}

function eventParts(e) {
  if (typeof e === "string") return ["", e];
  const { time, text, message, ...rest } = e;
  const details = Object.entries(rest).map(([k, v]) => `${k}: ${typeof v === "object" ? JSON.stringify(v) : v}`);
  const when = new Date(time);
  return [isNaN(when) ? "" : when.toLocaleTimeString(), text || message || details.join(", ")];
}

function showEvents(events) {
  at("events-box").hidden = !events || !events.length;
  if (!events) return;
  const lines = events.slice(-100).reverse().map((e) => {
    const [when, text] = eventParts(e);
    const line = document.createElement("li");
    if (when) {
      const t = document.createElement("time");
      t.textContent = when;
      line.append(t);
    }
    line.append(text);
    return line;
  });
  at("events").replaceChildren(...lines);
}

function cell(name, text, kind = "") {
  const td = document.createElement("td");
  td.dataset.name = name;
  td.className = kind;
  td.textContent = text;
  return td;
}

function inFlight(p) {
  const parts = [];
  if (p.in_flight !== undefined) parts.push(`${number(p.in_flight)} messages`);
  if (p.in_flight_bytes !== undefined) parts.push(bytes(p.in_flight_bytes));
  return parts.join(", ");
}

function progressState(p) {
  const name = String(p.state || "").replace(/^State/, "").toLowerCase();
  if (p.active === false) return `${name}, silent`;
  return name;
}

function row(m, status) {
  const tr = document.createElement("tr");
  tr.dataset.id = m.id;
  if (m.id === status.id) tr.className = "self";
  const p = (status.progress || []).find((x) => x.id === m.id) || {};
  const leads = m.id === status.leader;
  tr.append(
    cell("Member", m.id === status.id ? `${m.id} (this one)` : String(m.id)),
    cell("Role", leads ? "leader" : m.role),
    cell("Address", m.address || ""),
    cell("Match", p.match === undefined ? "" : number(p.match), "n"),
    cell("Next", p.next === undefined ? "" : number(p.next), "n"),
    cell("State", leads ? "" : progressState(p)),
    cell("In flight", inFlight(p), "n"),
    action(m, status, leads));
  return tr;
}

function action(m, status, leads) {
  const td = cell("", "", "action n");
  if (leads || m.role !== "voter" || !status.leader) return td;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = seen.transferring === m.id ? "transferring…" : "transfer leadership";
  button.setAttribute("aria-label", `transfer leadership to member ${m.id}`);
  button.disabled = seen.transferring !== 0;
  button.addEventListener("click", () => transfer(m.id));
  td.append(button);
  return td;
}

function showMembers(members, status) {
  // A row that has the focus would lose it if it were replaced by an equal one.
  const body = at("members");
  members.forEach((m, i) => {
    const fresh = row(m, status);
    const old = body.children[i];
    if (!old) body.append(fresh);
    else if (!old.isEqualNode(fresh)) {
      const focused = old.contains(document.activeElement);
      old.replaceWith(fresh);
      if (focused) fresh.querySelector("button")?.focus();
    }
  });
  while (body.children.length > members.length) body.lastElementChild.remove();
  const leads = status.leader === status.id;
  put("hint", leads || !status.leader ? "" : `How far the others are is known to the leader, member ${status.leader}.`);
}

function say(text, bad) {
  const e = at("message");
  e.hidden = false;
  e.className = bad ? "bad" : "";
  e.textContent = text;
}

async function transfer(id) {
  seen.transferring = id;
  say(`Asking member ${id} to lead…`);
  await update();
  try {
    await ask("/leader", { method: "POST", body: JSON.stringify({ id }), signal: AbortSignal.timeout(10000) });
    say(`Member ${id} leads now.`);
  } catch (error) {
    say(`Member ${id} did not become the leader: ${error.message}`, true);
  }
  seen.transferring = 0;
  await update();
}

async function update() {
  try {
    const status = await ask("/status");
    showStatus(status);
    const list = await ask("/members?stale");
    showMembers(list.members || [], status);
    put("live", `live, ${new Date().toLocaleTimeString()}`);
  } catch (error) {
    put("live", `no answer: ${error.message}`);
    put("state", "unreachable");
    at("state").className = "badge bad";
  }
}

// A page that nobody looks at asks nothing.
async function run() {
  for (;;) {
    if (!document.hidden) await update();
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}

run();
