// Frames that scroll sideways say so, and fade at the right edge while there is more.

function markWide(frame) {
  const beyond = frame.scrollWidth - frame.clientWidth;
  frame.toggleAttribute("data-scrolls", beyond > 1);
  frame.toggleAttribute("data-more", beyond - frame.scrollLeft > 1);
}

const wideSizes = new ResizeObserver((entries) => entries.forEach((entry) => markWide(entry.target.closest(".wide"))));

/** Watch the frames in a part of the page. */
function watchWide(root) {
  for (const frame of root.querySelectorAll(".wide")) {
    wideSizes.observe(frame);
    wideSizes.observe(frame.firstElementChild);
  }
}

const onWideScroll = (event) => event.target instanceof Element && event.target.matches(".wide") && markWide(event.target);
document.addEventListener("scroll", onWideScroll, { capture: true, passive: true });
watchWide(document);
