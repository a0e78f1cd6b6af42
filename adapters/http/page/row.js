// One record as a row of the table.

import { isNumber, textOf } from "./follow.js";

const PREVIEW = 160; // characters of the values on one line
const LONGEST = 20_000; // characters of one string
const MOST_MEMBERS = 200; // of one object or list

export class Row {
  constructor(type) {
    this.type = type;
    this.element = null;
    this.drawn = null;
    this.record = null;
    this.opened = new Set(); // the places in the values that a person has opened: they stay open in the next record
  }

  take(record) {
    this.record = record;
    this.valid = instant(record.valid);
    this.updated = instant(record.updated);
    this.text = null;
  }

  matches(filter) {
    if (filter === "" || this.type.toLowerCase().includes(filter)) return true;
    this.text ??= textOf(this.record.values).slice(0, LONGEST).toLowerCase();
    return this.text.includes(filter);
  }

  draw() {
    if (this.drawn === this.record) return;
    const isNew = this.element === null;
    if (isNew) this.make();
    const focused = this.values.contains(document.activeElement) ? document.activeElement.dataset.path : undefined;
    this.values.replaceChildren(shown(this.record.values, null, "", this.opened));
    if (focused !== undefined) {
      [...this.values.querySelectorAll("summary")].find((it) => it.dataset.path === focused)?.focus({ preventScroll: true });
    }
    this.time.textContent = this.updated === null ? written(this.record.updated) : local(this.updated);
    this.time.title = written(this.record.updated);
    this.state.title = written(this.record.valid);
    this.count(Date.now());
    if (!isNew) this.flash();
    this.drawn = this.record;
  }

  make() {
    this.element = document.createElement("tr");
    this.element.append(cell("type", null, this.type));
    this.values = cell("values", null, "");
    this.time = cell("time", "updated", "");
    this.state = cell("state", "valid", "");
    this.word = document.createElement("b");
    this.left = document.createElement("span");
    this.state.append(this.word, this.left);
    this.element.append(this.values, this.time, this.state);
  }

  flash() {
    this.element.classList.remove("changed");
    void this.element.offsetWidth; // starts the animation anew
    this.element.classList.add("changed");
  }

  count(now) {
    if (this.element === null) return;
    const seconds = this.valid === null ? null : Math.trunc((this.valid - now) / 1000);
    const word = seconds === null ? "unknown" : seconds > 0 ? "fresh" : seconds < 0 ? "overdue" : "due";
    if (this.word.textContent !== word) {
      this.word.textContent = word;
      this.word.className = word;
    }
    const left = seconds === null ? "" : duration(seconds);
    if (this.left.textContent !== left) this.left.textContent = left;
  }
}

function cell(name, label, text) {
  const element = document.createElement("td");
  element.className = name;
  if (label !== null) element.dataset.label = label;
  element.textContent = text;
  return element;
}

// A value that can be opened, level by level; nothing of a level is made before that.
function shown(value, name, path, opened) {
  if (!isOpenable(value)) return leaf(value, name);
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  summary.dataset.path = path;
  if (name !== null) summary.append(label(name));
  summary.append(preview(value));
  details.append(summary);
  const fill = () => {
    if (details.childElementCount > 1) return;
    const names = Object.keys(value);
    for (const member of names.slice(0, MOST_MEMBERS)) {
      details.append(shown(value[member], member, path + JSON.stringify(member), opened));
    }
    if (names.length > MOST_MEMBERS) details.append(leaf(`${names.length - MOST_MEMBERS} more`, null));
  };
  details.open = opened.has(path);
  if (details.open) fill();
  details.addEventListener("toggle", () => {
    if (!details.isConnected) return;
    if (details.open) fill();
    opened[details.open ? "add" : "delete"](path);
  });
  return details;
}

function leaf(value, name) {
  const element = document.createElement("div");
  element.className = "leaf";
  if (name !== null) element.append(label(name));
  const isText = typeof value === "string";
  const text = isText ? value : textOf(value);
  const part = document.createElement(isText && (text.length > PREVIEW || text.includes("\n")) ? "pre" : "code");
  part.textContent = text.length > LONGEST ? `${text.slice(0, LONGEST)}… (${text.length.toLocaleString()} characters)` : text;
  element.append(part);
  return element;
}

function label(name) {
  const element = document.createElement("span");
  element.className = "name";
  element.textContent = `${name.slice(0, PREVIEW)}: `;
  return element;
}

function isOpenable(value) {
  return value !== null && typeof value === "object" && !isNumber(value);
}

function preview(value, depth = 2) {
  let text = Array.isArray(value) ? "[" : "{";
  const end = Array.isArray(value) ? "]" : "}";
  for (const name of Object.keys(value)) {
    if (text.length > PREVIEW) break;
    const member = value[name];
    const short = isOpenable(member) && depth === 1 ? (Array.isArray(member) ? "[…]" : "{…}")
      : isOpenable(member) ? preview(member, depth - 1)
      : typeof member === "string" ? JSON.stringify(member.slice(0, PREVIEW))
      : textOf(member);
    text += `${text.length > 1 ? ", " : ""}${Array.isArray(value) ? "" : `${name.slice(0, PREVIEW)}: `}${short}`;
  }
  return text.length > PREVIEW ? `${text.slice(0, PREVIEW)}…` : text + end;
}

// Milliseconds since the epoch, or null where this is no time that a browser reads.
function instant(time) {
  if (isNumber(time)) {
    const number = Number(textOf(time));
    return Math.abs(number) < 1e11 ? number * 1000 : number;
  }
  if (typeof time !== "string") return null;
  const iso = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?$/.test(time);
  const milliseconds = Date.parse(iso ? `${time.replace(" ", "T")}Z` : time);
  return Number.isNaN(milliseconds) ? null : milliseconds;
}

function written(time) {
  return time === null || time === undefined ? "–" : typeof time === "string" ? time : textOf(time);
}

function local(milliseconds) {
  const date = new Date(milliseconds);
  const two = (number) => String(number).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

function duration(seconds) {
  let [number, unit] = [seconds, "s"];
  for (const [longer, size] of [["m", 60], ["h", 60], ["d", 24]]) {
    if (Math.abs(number) >= 100) [number, unit] = [Math.trunc(number / size), longer];
  }
  return `${number} ${unit}`;
}
