"use strict";
// Elements and text. Nothing on this page sets innerHTML: what models wrote only ever becomes a text node.

const FOLD = 4000; // characters of a text shown before "show all"
const CHUNK = 20000; // characters of one block of a text that is shown whole

const HIDDEN = /$INVISIBLE/gu; // see invisible.py

/** The text with characters that hide, or hide or reorder others, shown by name. */
function visible(text) {
  const name = (found) => `[U+${found.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}]`;
  return text.replaceAll("\r\n", "\n").replace(HIDDEN, name);
}

/** A new element with a class, holding texts (as text nodes) and elements; null is nothing. */
function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  for (const child of children) {
    if (child === null || child === undefined) continue;
    node.append(child instanceof Node ? child : visible(String(child)));
  }
  return node;
}

/** The place at or before `end` where a text may be cut: after a line if one ends nearby, never inside a character. */
function cutAt(text, start, end) {
  if (end >= text.length) return text.length;
  const line = text.lastIndexOf("\n", end - 1) + 1;
  if (line > start + (end - start) / 2) return line;
  const code = text.charCodeAt(end);
  return code >= 0xdc00 && code <= 0xdfff ? end - 1 : end;
}

/** The text without blank lines around it. */
function bare(text) {
  let start = 0;
  let end = text.length;
  while (text[start] === "\n") start += 1;
  while (end > start && (text[end - 1] === "\n" || text[end - 1] === " ")) end -= 1;
  return text.slice(start, end);
}

/** A block of model text. A long one is folded; opened, it is laid out in pieces so that 1 MB does not freeze. */
function prose(whole, className) {
  const text = bare(whole);
  const block = make("div", `prose ${className || ""}`);
  block.dir = "auto";
  if (text.length <= FOLD) {
    block.append(visible(text));
    return block;
  }
  const head = cutAt(text, 0, FOLD);
  block.append(visible(text.slice(0, head)), " …");
  const button = make("button", "fold", `Show all ${text.length.toLocaleString("en")} characters`);
  button.type = "button";
  button.addEventListener("click", () => {
    block.replaceChildren();
    for (let start = 0; start < text.length; ) {
      const end = cutAt(text, start, start + CHUNK);
      const piece = make("div", "piece", text.slice(start, end).replace(/\n$/, ""));
      piece.dir = "auto";
      block.append(piece);
      start = end;
    }
    button.remove();
    block.tabIndex = -1;
    block.focus({ preventScroll: true });
  });
  return make("div", "folded", block, button);
}

/** A number in at most `digits` decimals, or a dash. */
function figure(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  return String(Number(value.toFixed(digits))).replace("-", "−");
}

/** A slug in words. */
const words = (slug) => slug.replaceAll("_", " ");
