// The connection: an EventSource, made anew where the browser gives up.

// Milliseconds: between two tries at most, and for an answer that says whether all is well.
const LONGEST_WAIT = 10_000;
const PATIENCE = 4000;

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
    const asked = source;
    const answer = await fetch("/readyz", { signal: AbortSignal.timeout(PATIENCE) }).catch(() => null);
    if (source !== asked || source.readyState !== EventSource.OPEN) return;
    if (answer?.ok) {
      tell("live", "live");
    } else if (answer !== null) {
      tell("late", `not up to date: ${(await answer.json()).why_not}`);
    } else {
      // A line may be dead and not know it: a new one will show.
      tell("lost", "no answer, trying again");
      source.close();
      open();
    }
  }

  open();
  setInterval(look, 5000);
  return { again: open };
}
