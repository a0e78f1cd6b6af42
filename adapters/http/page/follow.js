// The connection: an EventSource, made anew where the browser gives up.

const LONGEST_WAIT = 10_000; // milliseconds

// A number keeps the digits it was written with, where the browser tells them.
class Exact {
  constructor(source) {
    this.source = source;
  }
}

export function read(text) {
  return JSON.parse(text, (_, value, context) =>
    typeof value === "number" && context?.source !== undefined ? new Exact(context.source) : value,
  );
}

export function isNumber(value) {
  return typeof value === "number" || value instanceof Exact;
}

export function textOf(value) {
  if (value instanceof Exact) return value.source;
  if (Array.isArray(value)) return `[${value.map(textOf).join(", ")}]`;
  if (value !== null && typeof value === "object") {
    return `{${Object.keys(value).map((name) => `${JSON.stringify(name)}: ${textOf(value[name])}`).join(", ")}}`;
  }
  return JSON.stringify(value);
}

export function connect({ take, forgetAll, tell, askForToken }) {
  let source = null;
  let wait = 500;

  function open() {
    source = new EventSource("/events");
    source.addEventListener("open", () => {
      wait = 500;
      look();
    });
    source.addEventListener("reset", forgetAll);
    source.addEventListener("update", (event) => take(read(event.data)));
    source.addEventListener("error", () => {
      tell("lost", "connection lost, trying again");
      if (source.readyState === EventSource.CLOSED) giveUp();
    });
  }

  async function giveUp() {
    source.close();
    const answer = await fetch("/keys?limit=1").catch(() => null);
    if (answer?.status === 401) {
      tell("lost", "a token is needed");
      askForToken(false);
      return;
    }
    setTimeout(open, wait);
    wait = Math.min(LONGEST_WAIT, 2 * wait);
  }

  // The line to the server may be fine while the server has lost its own.
  async function look() {
    const answer = await fetch("/readyz").catch(() => null);
    if (source.readyState !== EventSource.OPEN) return;
    if (answer === null || answer.ok) tell("live", "live");
    else tell("late", `not up to date: ${(await answer.json()).why_not}`);
  }

  open();
  setInterval(look, 5000);
  return { again: open };
}
