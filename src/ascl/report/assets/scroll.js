// A list and the detail of its selected row: a virtual scroll (only the rows in view exist) and the keyboard.
// The page's own script says what a row and the detail hold: `rowParts(item)`, and `detailParts(item)` (null: none),
// and applies the filters: `refresh()`.

const byId = (id) => document.getElementById(id);
const list = byId("list");
const rows = byId("rows");
const detail = byId("detail");
const search = byId("search");
const OVERSCAN = 6;

const rowHeight = 3.5 * parseFloat(getComputedStyle(document.documentElement).fontSize);
let shown = []; // the items that pass the filters
let cursor = -1; // place of the selected one in `shown`

/** One row of the list. */
function rowOf(place) {
  const row = make("div", "row", ...rowParts(shown[place]));
  row.id = `row-${place}`;
  row.setAttribute("role", "option");
  row.setAttribute("aria-selected", String(place === cursor));
  row.setAttribute("aria-setsize", String(shown.length));
  row.setAttribute("aria-posinset", String(place + 1));
  row.style.top = `${place * rowHeight}px`;
  row.addEventListener("click", () => select(place));
  return row;
}

/** The title of a row: the beginning of a text, in one line. */
function rowTitle(whole) {
  const title = make("div", "row-title", whole.slice(0, 200).replace(/\s+/g, " "));
  title.dir = "auto";
  return title;
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

/** Select a place of the list, bring it into view, and show what is there. */
function select(place) {
  const next = Math.min(Math.max(place, 0), shown.length - 1);
  if (next !== cursor || next < 0) {
    cursor = next;
    detail.replaceChildren(...detailParts(cursor < 0 ? null : shown[cursor]));
    detail.scrollTop = 0;
  }
  if (cursor >= 0) {
    const top = cursor * rowHeight;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + rowHeight > list.scrollTop + list.clientHeight) list.scrollTop = top + rowHeight - list.clientHeight;
  }
  paint();
}

/** List these items; the selected one stays selected if it is among them. */
function listThese(items) {
  const selected = shown[cursor];
  shown = items;
  rows.style.height = `${shown.length * rowHeight}px`;
  cursor = -1;
  select(Math.max(shown.indexOf(selected), 0));
}

/** The keys of the list. `j` and `k` work anywhere outside a field; the others only where the list has the focus. */
function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea")) {
    if (event.key !== "Escape") return;
    if (event.target === search && search.value) {
      event.preventDefault(); // the browser would empty the box and leave the list filtered
      search.value = "";
      refresh();
    }
    list.focus();
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

list.addEventListener("scroll", paint, { passive: true });
addEventListener("resize", () => select(cursor));
document.addEventListener("keydown", press);
