// The reader: one evaluation or two side by side, the prompts they share, filters, and the answers to the selected
// prompt. The rollouts of a training arm are a source like an evaluation; there every rollout is a prompt of its own.

const index = JSON.parse(byId("index").textContent);
const texts = new Blocks("texts");
const entries = new Blocks("entries");
const text = (place) => texts.get(place);
const menus = ["benchmark", "kind", "outcome-left", "outcome-right", "consulted"].map(byId);
const sides = [byId("left"), byId("right")];
const differ = byId("differ");
const MOST_SIBLINGS = 32;

/** Of each evaluation, or each arm's rollouts: its records by prompt. */
const answers = index.sets.map(() => new Map());
index.records.prompt.forEach((prompt, record) => answers[index.records.set[record]].set(prompt, record));

let shared = []; // the prompts that both sides answered
let round = 0; // of the filters; an older round that is still searching gives up

/** What stands on one side of a prompt: a record, or undefined where no evaluation is chosen. */
const recordOf = (side, prompt) => (sides[side].value === "" ? undefined : answers[Number(sides[side].value)].get(prompt));
const outcomeOf = (record) => index.outcomes[index.records.outcome[record]];
const recordsOf = (prompt) => [recordOf(0, prompt), recordOf(1, prompt)].filter((record) => record !== undefined);

/** Who consulted: every word that is true of a prompt. */
function consultedBy(prompt) {
  const [left, right] = [0, 1].map((side) => index.records.consulted[recordOf(side, prompt)] === 1);
  const found = [left && right ? "both" : left ? "left only" : right ? "right only" : "neither"];
  if (left || right) found.push("at least one");
  return found;
}

/** What a prompt is under each menu. */
const facets = {
  benchmark: (prompt) => [index.benchmarks[index.prompts[prompt][0]]],
  kind: (prompt) => [index.prompts[prompt][2]],
  "outcome-left": (prompt) => [outcomeOf(recordOf(0, prompt))],
  "outcome-right": (prompt) => (sides[1].value === "" ? [] : [outcomeOf(recordOf(1, prompt))]),
  consulted: consultedBy,
};

function option(value, name) {
  const node = make("option", "", name);
  node.value = value;
  return node;
}

/** Fill one menu with the values that occur among the shared prompts, and how often; a choice that is left stays. */
function fill(menu) {
  const counts = new Map();
  for (const prompt of shared) for (const value of facets[menu.id](prompt)) counts.set(value, (counts.get(value) || 0) + 1);
  const chosen = menu.value;
  const name = (value) => (menu.id === "benchmark" ? value : words(value));
  const options = [...counts].map(([value, count]) => option(value, `${name(value)} (${count.toLocaleString("en")})`));
  menu.replaceChildren(option("", "all"), ...options);
  menu.value = counts.has(chosen) ? chosen : "";
}

/** Take the two sides chosen: the prompts both answered, and the menus over them. Answers and rollouts share none. */
function pair() {
  const origins = sides.map((side) => side.value && index.sets[Number(side.value)].origin);
  if (origins[0] !== origins[1]) sides[1].value = "";
  const [left, right] = sides.map((side) => side.value);
  shared = left === "" ? [] : [...answers[Number(left)].keys()].filter((prompt) => right === "" || answers[Number(right)].has(prompt));
  menus.forEach(fill);
  differ.disabled = byId("outcome-right").disabled = byId("swap").disabled = right === "";
  if (differ.disabled) differ.checked = false;
  refresh();
}

/** Which prompts hold a phrase, in their own text or in an answer of either side; null where a newer round began. */
async function found(phrase, prompts, stale) {
  const hits = [];
  const mark = (number) => texts.block(number).forEach((one, at) => {
    if (one.toLowerCase().includes(phrase)) hits[texts.starts[number] + at] = true;
  });
  if (!(await inSlices(texts.nodes.keys(), mark, stale))) return null;
  const kept = [];
  const holds = (record) => textsOf(entries.get(record)).some((place) => hits[place]);
  const look = (prompt) => {
    if (index.prompts[prompt][1].toLowerCase().includes(phrase) || recordsOf(prompt).some(holds)) kept.push(prompt);
  };
  return (await inSlices(prompts, look, stale)) ? kept : null;
}

/** Apply the filters; the selected prompt stays selected if it still passes. */
async function refresh() {
  const mine = (round += 1);
  const chosen = menus.filter((menu) => menu.value !== "");
  let passing = shared.filter((prompt) => chosen.every((menu) => facets[menu.id](prompt).includes(menu.value)));
  if (differ.checked) passing = passing.filter((prompt) => outcomeOf(recordOf(0, prompt)) !== outcomeOf(recordOf(1, prompt)));
  const phrase = search.value.trim().toLowerCase();
  if (phrase) {
    byId("count").textContent = "searching …";
    passing = await found(phrase, passing, () => mine !== round);
    if (!passing) return;
  }
  byId("count").textContent = `${passing.length.toLocaleString("en")} of ${shared.length.toLocaleString("en")} prompts`;
  listThese(passing);
}

/** When in training a rollout was made; nothing for the prompt of an evaluation. */
function training(prompt) {
  const [, , , , step, group] = index.prompts[prompt];
  const known = (name, value) => (value === null || value === undefined ? [] : [`${name} ${value}`]);
  return [...known("step", step), ...known("group", group)];
}

/** What the row of a prompt shows. */
function rowParts(prompt) {
  const [benchmark, , kind, title] = index.prompts[prompt];
  const records = recordsOf(prompt);
  const about = make("span", "", [index.benchmarks[benchmark], ...training(prompt), kind].join(" · "));
  const marks = make("span", "badges");
  records.forEach((record, side) => {
    if (side) marks.append(" | ");
    marks.append(badge(outcomeOf(record), kind));
    if (index.records.consulted[record]) marks.append(make("abbr", "looked-up", "◆"));
  });
  marks.querySelectorAll("abbr").forEach((node) => (node.title = "consulted"));
  return [rowTitle(text(title)), make("div", "row-about", about, marks)];
}

/** One answer: who gave it, its turns, faults and verdict. */
function column(record) {
  const entry = entries.get(record);
  const about = [entry.consulted ? "consulted" : "did not consult"];
  if (entry.tokens) about.push(`${entry.tokens.toLocaleString("en")} tokens`);
  if (entry.stop && entry.stop !== "answered") about.push(`stopped: ${words(entry.stop)}`);
  const name = make("h3", "", index.sets[entry.set].name);
  const head = make("div", "about", name, badge(entry.outcome, entry.kind), make("p", "", about.join(" · ")));
  const faults = entry.faults
    ? step("Faults", "fault", make("ul", "", ...entry.faults.map((fault) => make("li", "", fault))))
    : null;
  const system = { prompt: entry.prompt.filter((message) => message.role === "system") };
  return make("section", "side", head, ...promptSteps(system), ...turnSteps(entry), faults, verdictStep(entry), rewardStep(entry));
}

/** A button to a record, with its outcome. */
function sibling(name, record, current, act) {
  const button = make("button", "", name, badge(outcomeOf(record), index.prompts[index.records.prompt[record]][2]));
  button.type = "button";
  if (current) button.setAttribute("aria-current", "true");
  button.addEventListener("click", act);
  return button;
}

/** Buttons to the other answers to a prompt (which then stand on the right), or to the other rollouts of its group. */
function siblings(prompt) {
  const [, , , , step, group] = index.prompts[prompt];
  const left = Number(sides[0].value);
  const buttons = [];
  if (group !== undefined && group !== null) {
    for (const [other, record] of answers[left]) {
      if (index.prompts[other][4] !== step || index.prompts[other][5] !== group) continue;
      const name = index.records.consulted[record] ? "consulted" : "direct";
      buttons.push(sibling(name, record, other === prompt, () => openPrompt(other)));
    }
  } else if (group === undefined) {
    answers.forEach((of, place) => {
      if (place === left || !of.has(prompt)) return;
      const beside = () => {
        sides[1].value = String(place);
        pair();
        openPrompt(prompt);
      };
      buttons.push(sibling(index.sets[place].name, of.get(prompt), sides[1].value === String(place), beside));
    });
  }
  if (buttons.length < 2) return null;
  return make("nav", "siblings", make("span", "", group === undefined ? "Beside it" : "Same group"), ...buttons.slice(0, MOST_SIBLINGS));
}

/** Open a prompt, lifting the filters where they hide it. */
function openPrompt(prompt) {
  if (!shown.includes(prompt)) reset();
  if (shown.includes(prompt)) select(shown.indexOf(prompt));
}

/** The prompt, and below it what each side made of it. */
function detailParts(prompt) {
  if (prompt === null) return [make("p", "missing", shared.length ? "No prompt passes the filters." : index.sets.length ? "No prompt was answered by both." : "There is no answer yet.")];
  const [benchmark, id, kind] = index.prompts[prompt];
  const records = recordsOf(prompt);
  const first = entries.get(records[0]);
  const about = [index.benchmarks[benchmark], ...training(prompt), kind, first.category && words(first.category), first.source];
  const head = make("div", "about", make("h3", "", id), make("p", "", about.filter(Boolean).join(" · ")));
  const asked = { prompt: first.prompt.filter((message) => message.role !== "system") };
  return [head, siblings(prompt), ...promptSteps(asked), make("div", records.length > 1 ? "sides" : "sides single", ...records.map(column))].filter(Boolean);
}

/** Lift all filters. */
function reset() {
  search.value = "";
  differ.checked = false;
  for (const menu of menus) menu.value = "";
  refresh();
}

byId("reader").hidden = false;
sides[1].append(option("", "none"));
for (const side of sides) side.append(...index.sets.map((set, place) => option(String(place), set.name)));
const [firstSet, firstPrompt] = index.first || [];
sides[1].value = String(firstSet || (index.sets.length > 1 ? 1 : ""));
for (const side of sides) side.addEventListener("change", pair);
for (const menu of [...menus, differ]) menu.addEventListener("change", refresh);
let waiting = 0;
search.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(refresh, 120);
});
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("reset").addEventListener("click", reset);
byId("swap").addEventListener("click", () => {
  [sides[0].value, sides[1].value] = [sides[1].value, sides[0].value];
  pair();
});
pair();
if (shown.includes(firstPrompt)) select(shown.indexOf(firstPrompt));

/** The table of paired differences against the evaluation chosen. */
const base = byId("base");
if (base) {
  base.addEventListener("change", () => {
    const table = document.querySelectorAll("template.base-table")[Number(base.value)].content;
    byId("differences-table").replaceChildren(table.cloneNode(true));
    watchWide(byId("differences-table"));
  });
}
