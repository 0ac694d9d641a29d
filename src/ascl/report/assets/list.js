// The list of trajectories: filters, search, a virtual scroll (only the rows in view exist), and the keyboard.

const byId = (id) => document.getElementById(id);
const list = byId("list");
const rows = byId("rows");
const detail = byId("detail");
const search = byId("search");
const menus = ["set", "kind", "outcome", "consulted"].map(byId);
const OVERSCAN = 6;

const rowHeight = 3.5 * parseFloat(getComputedStyle(document.documentElement).fontSize);
let shown = []; // indices of the records that pass the filters
let cursor = -1; // place of the selected one in `shown`

/** What a record is under each menu. */
const facets = {
  set: (entry) => String(entry.set),
  kind: (entry) => entry.kind,
  outcome: (entry) => entry.outcome,
  consulted: (entry) => (entry.consulted ? "yes" : "no"),
};

/** Fill one menu with the values that occur, and how often. */
function fill(menu) {
  const counts = new Map();
  for (const entry of data.records) {
    const value = facets[menu.id](entry);
    counts.set(value, (counts.get(value) || 0) + 1);
  }
  const option = (value, name) => {
    const node = make("option", "", name);
    node.value = value;
    return node;
  };
  const withCount = (value, name) => option(value, `${name} (${counts.get(value).toLocaleString("en")})`);
  menu.replaceChildren(option("", menu.id === "consulted" ? "either" : "all"));
  if (menu.id !== "set") {
    menu.append(...[...counts.keys()].map((value) => withCount(value, words(value))));
    return;
  }
  for (const [origin, title] of [["eval", "Evaluation"], ["rollouts", "Training rollouts"]]) {
    const group = make("optgroup", "");
    group.label = title;
    data.sets.forEach((set, place) => set.origin === origin && group.append(withCount(String(place), origin === "eval" ? set.name : `${set.name} rollouts`)));
    if (group.childElementCount) menu.append(group);
  }
}

/** The texts a record is found by: everything but the system prompt, which all records of a variant share. */
function textsOf(entry) {
  const places = [entry.title];
  for (const message of entry.prompt) if (message.role !== "system") places.push(message.text);
  for (const turn of entry.turns) {
    for (const key of ["thought", "text"]) if (key in turn) places.push(turn[key]);
    for (const call of turn.calls || []) places.push(call.arguments);
    for (const rule of turn.rules || []) places.push(rule[1], rule[2]);
  }
  return places;
}

let lowered = null; // every text in lower case, made at the first search

/** A test of records for a phrase. Each distinct text is looked at once. */
function matcher(phrase) {
  if (!phrase) return () => true;
  lowered ||= data.texts.map((one) => one.toLowerCase());
  const hits = lowered.map((one) => one.includes(phrase));
  return (entry) => entry.id.toLowerCase().includes(phrase) || textsOf(entry).some((place) => hits[place]);
}

/** Apply the filters; the selected record stays selected if it still passes. */
function refresh() {
  const selected = shown[cursor];
  const chosen = menus.filter((menu) => menu.value !== "");
  const matches = matcher(search.value.trim().toLowerCase());
  shown = [];
  data.records.forEach((entry, index) => {
    if (chosen.every((menu) => facets[menu.id](entry) === menu.value) && matches(entry)) shown.push(index);
  });
  byId("count").textContent = `${shown.length.toLocaleString("en")} of ${data.records.length.toLocaleString("en")}`;
  rows.style.height = `${shown.length * rowHeight}px`;
  cursor = -1;
  select(Math.max(shown.indexOf(selected), 0));
}

/** One row of the list. */
function rowOf(place) {
  const entry = data.records[shown[place]];
  const about = [setName(entry), isRollout(entry) && entry.step !== undefined ? `step ${entry.step}` : null, entry.kind];
  if (entry.consulted) about.push("consulted");
  const title = make("div", "row-title", text(entry.title).slice(0, 200).replace(/\s+/g, " "));
  title.dir = "auto";
  const row = make("div", "row", title, make("div", "row-about", make("span", "", about.filter(Boolean).join(" · ")), badge(entry.outcome)));
  row.id = `row-${place}`;
  row.setAttribute("role", "option");
  row.setAttribute("aria-selected", String(place === cursor));
  row.setAttribute("aria-setsize", String(shown.length));
  row.setAttribute("aria-posinset", String(place + 1));
  row.style.top = `${place * rowHeight}px`;
  row.addEventListener("click", () => select(place));
  return row;
}

/** Draw the rows in view. */
function paint() {
  const first = Math.max(0, Math.floor(list.scrollTop / rowHeight) - OVERSCAN);
  const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / rowHeight) + OVERSCAN);
  const nodes = [];
  for (let place = first; place < last; place += 1) nodes.push(rowOf(place));
  rows.replaceChildren(...nodes);
  if (cursor >= first && cursor < last) list.setAttribute("aria-activedescendant", `row-${cursor}`);
  else list.removeAttribute("aria-activedescendant");
}

/** The records shown beside a record: its prompt under other variants, or its training group. */
const families = new Map();
function familyOf(entry) {
  return isRollout(entry) ? JSON.stringify([entry.set, entry.step, entry.group, entry.id]) : JSON.stringify([entry.id]);
}
data.records.forEach((entry, index) => {
  const family = familyOf(entry);
  if (families.has(family)) families.get(family).push(index);
  else families.set(family, [index]);
});

/** Open a record by its index, lifting the filters where they hide it. */
function openRecord(index) {
  if (!shown.includes(index)) reset();
  select(shown.indexOf(index));
}

/** Select a place of the list, bring it into view, and show its record. */
function select(place) {
  const next = Math.min(Math.max(place, 0), shown.length - 1);
  if (next !== cursor || next < 0) {
    cursor = next;
    detail.replaceChildren(
      ...(cursor < 0
        ? [make("p", "missing", data.records.length ? "No trajectory passes the filters." : "No trajectories in this run yet.")]
        : detailOf(shown[cursor], families.get(familyOf(data.records[shown[cursor]])).slice(0, 32), openRecord)),
    );
    detail.scrollTop = 0;
  }
  if (cursor >= 0) {
    const top = cursor * rowHeight;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + rowHeight > list.scrollTop + list.clientHeight) list.scrollTop = top + rowHeight - list.clientHeight;
  }
  paint();
}

/** Lift all filters. */
function reset() {
  search.value = "";
  for (const menu of menus) menu.value = "";
  refresh();
}

/** The keys of the list. `j` and `k` work anywhere outside a field; the others only where the list has the focus. */
function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea")) {
    if (event.key === "Escape") list.focus();
    return;
  }
  const page = Math.max(1, Math.floor(list.clientHeight / rowHeight) - 1);
  const moves = { j: cursor + 1, k: cursor - 1 };
  if (event.target === list) {
    const more = { ArrowDown: cursor + 1, ArrowUp: cursor - 1, PageDown: cursor + page, PageUp: cursor - page };
    Object.assign(moves, more, { Home: 0, End: shown.length - 1 });
  }
  if (event.key === "/") {
    event.preventDefault();
    search.focus();
  } else if (event.key in moves) {
    event.preventDefault();
    if (event.key.length === 1) list.focus({ preventScroll: detail.contains(event.target) });
    select(moves[event.key]);
  }
}

byId("reader").hidden = false;
menus.forEach((menu) => {
  fill(menu);
  menu.addEventListener("change", refresh);
});
let waiting = 0;
search.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(refresh, 120);
});
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("reset").addEventListener("click", reset);
list.addEventListener("scroll", paint, { passive: true });
addEventListener("resize", () => select(cursor));
document.addEventListener("keydown", press);
refresh();
