// The live page: follows /events and shows the newest record of every type. Whatever a publisher wrote is text here.

import { connect } from "./follow.js";
import { Row } from "./row.js";

const MOST_ROWS = 1000; // shown at once; the filter finds the others
const byId = (id) => document.getElementById(id);
const rows = new Map(); // by type; no object, for a type may be called __proto__
const dirty = new Set();
let shown = [];
let sorted = false;
let drawing = false;

function take(record) {
  let row = rows.get(record.type);
  if (row === undefined) {
    row = new Row(record.type);
    rows.set(record.type, row);
    sorted = false;
  }
  row.take(record);
  dirty.add(row);
  drawSoon();
}

function forgetAll() {
  rows.clear();
  dirty.clear();
  sorted = false;
  drawSoon();
}

function drawSoon() {
  if (!drawing) {
    drawing = true;
    // A page in the background draws nothing until somebody looks at it.
    requestAnimationFrame(draw);
  }
}

function draw() {
  drawing = false;
  const filter = byId("filter").value.trim().toLowerCase();
  for (const row of dirty) row.draw();
  const filtered = filter !== "";
  if (!sorted || filtered || draw.filter !== filter) {
    const wanted = [...rows.values()].filter((row) => row.matches(filter));
    wanted.sort((one, other) => (one.type < other.type ? -1 : 1));
    arrange(wanted.slice(0, MOST_ROWS));
    draw.wanted = wanted.length;
    sorted = true;
  }
  draw.filter = filter;
  dirty.clear();
  const all = rows.size.toLocaleString();
  const hidden = draw.wanted > shown.length ? `, the first ${shown.length.toLocaleString()} shown` : "";
  byId("count").textContent = filtered ? `${draw.wanted.toLocaleString()} of ${all} records${hidden}` : `${all} records${hidden}`;
  byId("empty").hidden = rows.size > 0 || byId("connection").dataset.state !== "live";
}

function arrange(wanted) {
  const same = wanted.length === shown.length && wanted.every((row, index) => row === shown[index]);
  if (same) return;
  // One by one, so that what has the focus keeps it.
  const body = byId("records");
  const keep = new Set(wanted);
  for (const row of shown) if (!keep.has(row)) row.element.remove();
  let place = body.firstChild;
  for (const row of wanted) {
    row.draw();
    if (row.element === place) place = place.nextSibling;
    else body.insertBefore(row.element, place);
  }
  shown = wanted;
}

function tell(state, text) {
  const element = byId("connection");
  if (element.textContent === text) return;
  element.dataset.state = state;
  element.textContent = text;
  drawSoon();
}

function askForToken(refused) {
  byId("login").hidden = false;
  byId("refusal").textContent = refused ? "This is not the token." : "";
  byId("token").focus();
}

byId("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("/login", { method: "POST", body: byId("token").value });
  byId("token").value = "";
  if (!answer.ok) return askForToken(true);
  byId("login").hidden = true;
  follow.again();
});

byId("filter").addEventListener("input", drawSoon);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.matches("input")) {
    event.preventDefault();
    byId("filter").focus();
  }
});

setInterval(() => {
  const now = Date.now();
  for (const row of shown) row.count(now);
}, 1000);

const follow = connect({ take, forgetAll, tell, askForToken });
