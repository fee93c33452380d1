// What the server rendered, brought to life. Without this script the same HTML is a card whose buttons post a form.

const SECOND = 1000;
const AGAIN = SECOND / 2;
const CLOSING = new Set(["dismissed", "snoozed", "completed", "opted_out"]);
const SHARES = Array.from({ length: 21 }, (_, step) => step / 20);
const TYPED_IN =
  "textarea, select, iframe, [contenteditable]:not([contenteditable=false]), input:not([type=button], [type=submit]," +
  " [type=reset], [type=image], [type=checkbox], [type=radio], [type=range], [type=color], [type=file])";
const REACHED = "a[href], button:not(:disabled), summary, video[controls], [tabindex='0']";

const closed = new Set();
const seen = new Set();
let channel;

class NudgePrompt extends HTMLElement {
  get decision() {
    return this.dataset.decision || this;
  }

  connectedCallback() {
    if (closed.has(this.decision)) return void this.remove();
    // A copy that a cache of pages kept may have been made while the dialog was open.
    const copy = this.querySelector("dialog");
    copy?.replaceWith(...copy.childNodes);
    this.nudge = this.querySelector(".nudge");
    if (!this.nudge) return;
    this.stopping = new AbortController();
    const { signal } = this.stopping;
    this.addEventListener("submit", (event) => this.#submitted(event), { signal });
    if (this.dataset.format === "modal") this.#openModal(signal);
    else if (this.dataset.format === "slideout") this.#slideOut(signal);
    if (this.dataset.preview === undefined && !seen.has(this.decision)) this.#watch(signal);
  }

  disconnectedCallback() {
    this.stopping?.abort();
    if (this.dialog) this.before?.focus({ preventScroll: true });
    this.dialog = undefined;
  }

  /** Take it away without a report: it was closed elsewhere. */
  leave() {
    this.#hide(this.querySelector("[value=dismissed]")?.dataset.said);
    this.#settle();
  }

  /** Ask the server whether it is still on display: a browser may bring back a page as it was. */
  async check() {
    const answer = await this.#send("open").catch(() => undefined);
    if (answer?.open === false) this.leave();
  }

  #submitted(event) {
    const button = event.submitter;
    if (this.dataset.preview !== undefined) return event.preventDefault();
    if (event.defaultPrevented || this.isPosting || button?.name !== "report" || !CLOSING.has(button.value)) return;
    event.preventDefault();
    this.#close(button);
  }

  async #close(button) {
    closed.add(this.decision);
    this.#hide(button.dataset.said);
    try {
      await this.#send(button.value);
    } catch {
      // A page that has no network would be lost to an error page.
      if (!navigator.onLine) return addEventListener("online", () => this.#close(button), { once: true });
      this.isPosting = true;
      return button.form.requestSubmit(button);
    }
    if (this.dataset.decision) channel.postMessage(this.dataset.decision);
    this.#settle();
  }

  async #send(report) {
    const form = this.querySelector("form");
    const body = new URLSearchParams(new FormData(form));
    body.set("report", report);
    const headers = { Accept: "application/json" };
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body, headers, keepalive: true });
    const said = await answer.json();
    if (!said.ok) throw new Error(said.problem);
    return said;
  }

  #hide(said) {
    if (this.nudge.hidden) return;
    const hadFocus = this.contains(document.activeElement);
    const { dialog } = this;
    this.dialog = undefined;
    dialog?.close();
    if (this.nudge.matches(":popover-open")) this.nudge.hidePopover();
    this.nudge.hidden = true;
    if (dialog || !hadFocus) return;
    // The focus stays where it was in the page, on a word that a screen reader reads.
    const word = document.createElement("span");
    word.className = "nudge-said";
    word.role = "status";
    word.textContent = said ?? "";
    this.append(word);
    this.tabIndex = -1;
    this.focus({ preventScroll: true });
    this.addEventListener("blur", () => this.isSettled && this.remove());
  }

  #settle() {
    closed.add(this.decision);
    this.isSettled = true;
    this.nudge.remove();
    if (document.activeElement !== this) this.remove();
  }

  /** Report it as shown once it has been really visible for a second. */
  #watch(signal) {
    let timer;
    let isIn = false;
    const wait = () => {
      clearTimeout(timer);
      if (isIn && !document.hidden) timer = setTimeout(report, SECOND);
    };
    const report = () => {
      if (this.nudge.checkVisibility?.({ visibilityProperty: true, opacityProperty: true }) === false) return wait();
      watcher.disconnect();
      isIn = false;
      if (seen.has(this.decision) || closed.has(this.decision)) return;
      seen.add(this.decision);
      this.#send("shown").catch(() => seen.delete(this.decision));
    };
    const watcher = new IntersectionObserver(
      (entries) => {
        const { isIntersecting, intersectionRatio, intersectionRect, rootBounds } = entries.at(-1);
        const isHalf = intersectionRatio >= 0.5 || intersectionRect.height >= (rootBounds?.height ?? innerHeight) / 2;
        if (isIn === (isIntersecting && isHalf)) return;
        isIn = !isIn;
        wait();
      },
      { threshold: SHARES },
    );
    watcher.observe(this.nudge);
    document.addEventListener("visibilitychange", wait, { signal });
    signal.addEventListener("abort", () => (clearTimeout(timer), watcher.disconnect()));
  }

  #slideOut(signal) {
    if (!this.nudge.showPopover) return;
    this.nudge.popover = "manual";
    const isFree = () => !isModalOpen() && !document.querySelector(".nudge-slideout:popover-open");
    when(isFree, () => this.nudge.showPopover(), signal);
  }

  #openModal(signal) {
    const isFree = () => !isModalOpen() && !isTyping() && !document.hidden;
    // Not in the first moment: the page may have a dialog of its own to open, or the person a field to type in.
    setTimeout(when, AGAIN, isFree, () => this.#showModal(signal), signal);
  }

  #showModal(signal) {
    const { nudge } = this;
    const dialog = document.createElement("dialog");
    dialog.className = "nudge-dialog";
    dialog.lang = nudge.lang;
    dialog.dir = nudge.dir;
    dialog.ariaLabel = nudge.ariaLabel ?? nudge.textContent.trim().slice(0, 80);
    dialog.tabIndex = -1;
    dialog.autofocus = true;
    nudge.removeAttribute("role");
    nudge.replaceWith(dialog);
    dialog.append(nudge);
    this.dialog = dialog;
    this.before = activeElement();
    dialog.showModal();
    // Not on a button: whoever happens to press Enter or Space presses nothing.
    dialog.focus({ preventScroll: true });
    const dismiss = () => this.querySelector("[value=dismissed]").click();
    let pressed;
    const on = (kind, heard) => dialog.addEventListener(kind, heard, { signal });
    on("cancel", (event) => (event.preventDefault(), dismiss()));
    on("close", () => this.dialog && dismiss());
    on("pointerdown", (event) => (pressed = event.target));
    on("click", (event) => event.target === dialog && pressed === dialog && dismiss());
    on("keydown", (event) => event.key === "Tab" && turn(event, dialog));
  }
}

class NudgeSlot extends HTMLElement {
  static observedAttributes = ["placement"];

  connectedCallback() {
    this.stopping = new AbortController();
    const { signal } = this.stopping;
    document.addEventListener(
      "nudge:refresh",
      ({ target }) => (target === this || !(target instanceof NudgeSlot)) && this.refresh(),
      { signal },
    );
    this.refresh();
  }

  disconnectedCallback() {
    this.stopping.abort();
    this.stopping = undefined;
  }

  attributeChangedCallback() {
    if (this.stopping) this.refresh();
  }

  /** Ask the server what stands here now. */
  async refresh() {
    const placement = this.getAttribute("placement");
    if (!placement || !this.stopping) return;
    const { signal } = this.stopping;
    const asked = (this.asked = Symbol());
    const page = location.pathname + location.search;
    const address = new URL(`../slot?${new URLSearchParams({ placement, page })}`, import.meta.url);
    try {
      const answer = await fetch(address, { signal, headers: { Accept: "text/html" } });
      // A redirect leads to the log-in page of a host.
      if (!answer.ok || answer.redirected) return;
      const html = await answer.text();
      if (this.asked === asked && !signal.aborted) this.#put(html);
    } catch {
      // Without an answer, what stands here stays.
    }
  }

  #put(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    const fresh = template.content.querySelector("nudge-prompt");
    const old = [...this.children].find((it) => !it.isSettled);
    // Nothing is taken from under the fingers, and what has moved to its place does not move in again.
    const isSame = old && fresh && old.dataset.decision === fresh.dataset.decision;
    if (old?.contains(document.activeElement) || (isSame && old.dataset.format)) return;
    old?.remove();
    if (fresh) this.append(fresh);
  }
}

function when(isTime, act, signal) {
  if (signal.aborted) return;
  if (isTime()) act();
  else setTimeout(when, AGAIN, isTime, act, signal);
}

function activeElement() {
  let found = document.activeElement;
  while (found?.shadowRoot?.activeElement) found = found.shadowRoot.activeElement;
  return found;
}

function isTyping() {
  return Boolean(activeElement()?.matches(TYPED_IN));
}

function isModalOpen() {
  const others = [...document.querySelectorAll("[aria-modal=true]")];
  return Boolean(document.querySelector(":modal")) || others.some((it) => it.checkVisibility?.() ?? true);
}

/** Keep Tab inside a dialog: from its last control on to its first. */
function turn(event, dialog) {
  const all = [...dialog.querySelectorAll(REACHED)].filter((it) => it.checkVisibility?.() ?? true);
  const [first, last] = [all[0], all.at(-1)];
  const isAtEdge = event.shiftKey ? [first, dialog].includes(document.activeElement) : document.activeElement === last;
  if (!isAtEdge) return;
  event.preventDefault();
  (event.shiftKey ? last : first)?.focus();
}

// An open channel would keep browsers from keeping the page, so it is closed while nobody looks.
function listen() {
  channel = new BroadcastChannel("nudge-sdk");
  channel.onmessage = ({ data }) => {
    closed.add(data);
    for (const each of document.querySelectorAll("nudge-prompt")) if (each.dataset.decision === data) each.leave();
  };
}

if (!customElements.get("nudge-prompt")) {
  listen();
  addEventListener("pagehide", () => channel.close());
  addEventListener("pageshow", ({ persisted }) => {
    if (!persisted) return;
    listen();
    for (const each of document.querySelectorAll("nudge-prompt")) each.check();
  });
  customElements.define("nudge-prompt", NudgePrompt);
  customElements.define("nudge-slot", NudgeSlot);
}
