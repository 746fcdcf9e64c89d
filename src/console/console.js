// Live refresh and conveniences. Every page works without this file.

const policy = window.trustedTypes
  ? window.trustedTypes.createPolicy("postcall", { createHTML: (html) => html })
  : { createHTML: (html) => html };

// What each region was in the answer that it is from.
const known = new WeakMap();

// Regions with the attribute data-live are replaced by those of a new answer. One that holds the focus,
// a selection, an open <details> or something typed is left as it is: nothing moves under the reader's hands.
function isInUse(region) {
  if (region.contains(document.activeElement)) return true;
  if (region.querySelector("details[open]")) return true;
  const isTyped = (field) => field.value !== field.defaultValue;
  if ([...region.querySelectorAll("input")].some(isTyped)) return true;
  const selection = document.getSelection();
  return Boolean(selection && !selection.isCollapsed && selection.containsNode(region, true));
}

function replaceRegions(html) {
  const fresh = new DOMParser().parseFromString(policy.createHTML(html), "text/html");
  let left = 0;
  for (const region of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(region.id);
    if (!other || other.outerHTML === known.get(region)) continue;
    if (isInUse(region)) {
      left += 1;
      continue;
    }
    const next = document.importNode(other, true);
    known.set(next, other.outerHTML);
    region.replaceWith(next);
    offerCopies(next);
  }
  const main = fresh.getElementById("main");
  return { left, refresh: main ? Number(main.dataset.refresh) || 0 : 0 };
}

function say(text) {
  const place = document.getElementById("live");
  if (place && place.textContent !== text) place.textContent = text;
}

function refreshEvery(seconds) {
  let etag = null;
  let pause = seconds;
  const again = () => window.setTimeout(look, pause * 1000);
  async function look() {
    if (document.hidden) {
      document.addEventListener("visibilitychange", look, { once: true });
      return;
    }
    try {
      const headers = etag ? { "If-None-Match": etag } : {};
      const answer = await fetch(location.href, { headers, cache: "no-store", redirect: "error" });
      if (answer.status === 200) {
        const { left, refresh } = replaceRegions(await answer.text());
        // What is left is asked for again.
        etag = left ? null : answer.headers.get("ETag");
        say(left ? "There is news; it is shown once you leave that part." : "");
        if (!refresh) return;
        pause = seconds = refresh;
      } else if (answer.status === 304) {
        // The same page may follow from something newer.
        etag = answer.headers.get("ETag") || etag;
        // What was said of a look that failed is over.
        say("");
        pause = seconds;
      } else {
        say("Not updated: the service answered " + answer.status + ".");
      }
    } catch {
      say("Not updated: the service cannot be reached, or the session has ended.");
      pause = Math.min(pause * 2, 60);
    }
    again();
  }
  again();
}

function offerCopies(root) {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        const field = document.getElementById(button.dataset.copyFrom);
        await navigator.clipboard.writeText(field ? field.value : button.dataset.copy);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not copied";
      }
    });
  }
}

// Empty fields stay out of the address of a search.
function shortenSearches() {
  for (const form of document.querySelectorAll("form.filter")) {
    form.addEventListener("formdata", (event) => {
      for (const [key, value] of [...event.formData]) {
        if (value === "") event.formData.delete(key);
      }
    });
  }
}

// A second press would ask for the same action again.
function pressOnce() {
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
  // The page may come back from the history of the browser.
  window.addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
  });
}

// A fault leads to its place in the text.
function moveCaret() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-line]");
    const field = link && document.getElementById(link.hash.slice(1));
    if (!field) return;
    event.preventDefault();
    const lines = field.value.split("\n");
    const line = Math.min(Number(link.dataset.line), lines.length) - 1;
    const before = lines.slice(0, line).reduce((sum, it) => sum + it.length + 1, 0);
    const at = before + Math.min(Number(link.dataset.column) - 1, lines[line].length);
    field.focus();
    field.setSelectionRange(at, at);
    const height = parseFloat(getComputedStyle(field).lineHeight) || 20;
    field.scrollTop = Math.max(0, (line - 3) * height);
  });
}

function escapeLeaves() {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    const open = document.activeElement && document.activeElement.closest("details[open]");
    if (open) {
      open.open = false;
      open.querySelector("summary").focus();
    }
  });
}

const refresh = Number(document.getElementById("main").dataset.refresh) || 0;
if (refresh) refreshEvery(refresh);
offerCopies(document);
shortenSearches();
pressOnce();
moveCaret();
escapeLeaves();
