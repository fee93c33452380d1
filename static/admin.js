// What the admin's pages do beyond links and forms. Everything works without it.

const counted = (field) => document.querySelector(`[data-counter-of="${CSS.escape(field.id)}"]`);

// A placeholder is as long as its fallback, or as its name.
const filled = (text) =>
  text.replace(/\{\{\s*([^{}|]*?)\s*(?:\|\s*([^{}|]*?)\s*)?\}\}/g, (_, name, fallback) => fallback || name);

function count(field) {
  const counter = counted(field);
  if (!counter) return;
  const most = Number(field.dataset.max);
  const length = Number(field.dataset.length ?? [...filled(field.value)].length);
  counter.textContent = `${length} of ${most} characters`;
  counter.classList.toggle("is-over", length > most);
}

// A row of a condition shows only what its subject needs: fitting operators, a name, a value.
function fitRow(row) {
  const part = (name) => row.querySelector(`[data-part="${name}"]`);
  const list = (text) => (text ?? "").split(" ");
  const rows = row.closest("[data-condition]").dataset;
  const subject = part("subject");
  const operator = part("operator");
  const fitting = list((subject.selectedOptions?.[0] ?? subject).dataset.operators);
  for (const option of operator.options) option.hidden = subject.value !== "" && !fitting.includes(option.value);
  if (operator.selectedOptions[0]?.hidden) operator.value = fitting[0];
  part("name").hidden = subject.value !== "" && !list(rows.named).includes(subject.value);
  part("value").hidden = list(rows.needless).includes(operator.value);
  if (part("days")) part("days").hidden = subject.value !== "count";
}

document.addEventListener("change", (event) => {
  const row = event.target.closest?.("[data-condition-row]");
  if (row) fitRow(row);
});

function prepare(root) {
  for (const row of root.querySelectorAll("[data-condition-row]")) fitRow(row);
  for (const field of root.querySelectorAll("[data-max]")) count(field);
  const preview = root.querySelector("#preview");
  if (preview) sayBeside(preview);
  const first = root.querySelector("[data-focus]");
  first?.removeAttribute("data-focus");
  first?.focus();
}

const typedIn = new WeakSet();
document.addEventListener("input", (event) => {
  typedIn.add(event.target);
  if (!event.target.dataset?.max) return;
  // How long Markdown is without its marks, the server says with the next preview.
  if (!("markdown" in event.target.dataset)) delete event.target.dataset.length;
  count(event.target);
});

// What a preview says of a text stands beside its field, once something was typed there.
function sayBeside(preview) {
  for (const said of preview.querySelectorAll("[data-length-of]")) {
    const field = document.getElementById(said.dataset.lengthOf);
    if (!field) continue;
    field.dataset.length = said.value;
    count(field);
  }
  const problems = Map.groupBy(preview.querySelectorAll("[data-problem-of]"), (each) => each.dataset.problemOf);
  for (const field of document.querySelectorAll("#editor [name]")) {
    const found = problems.get(field.id)?.map((each) => each.dataset.problem).join(" ") ?? "";
    if (typedIn.has(field) || field.ariaInvalid) mark(field, found);
  }
}

function mark(field, problem) {
  const place = field.closest(".field");
  if (!place) return;
  const id = `${field.id}-error`;
  let shown = document.getElementById(id);
  if (!shown && problem) {
    shown = Object.assign(document.createElement("p"), { id, className: "error" });
    place.append(shown);
  }
  if (shown) shown.textContent = problem;
  const described = (field.getAttribute("aria-describedby") ?? "").split(" ").filter((each) => each && each !== id);
  if (problem) described.push(id);
  field.setAttribute("aria-describedby", described.join(" "));
  field.ariaInvalid = problem ? "true" : null;
  place.classList.toggle("has-error", Boolean(problem));
}

// A chip with a placeholder puts it where the cursor last was in a text that may hold one.
let last = null;
document.addEventListener("focusin", (event) => {
  if (event.target.matches?.("[data-placeholders]")) last = event.target;
});
document.addEventListener("click", (event) => {
  const chip = event.target.closest?.("[data-insert]");
  if (!chip) return;
  const field = last ?? document.querySelector("[data-placeholders]");
  if (!field) return;
  field.setRangeText(chip.dataset.insert, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
});

// A message that stands aside goes away with the next thing that is done.
document.addEventListener("submit", () => document.querySelector("#toast")?.replaceChildren());

document.addEventListener("htmx:after:swap", () => prepare(document));
prepare(document);
