"use strict";
// "/" puts the cursor into the filter, as people expect of lists.
document.addEventListener("keydown", (event) => {
  const filter = document.getElementById("q");
  if (event.key === "/" && filter && document.activeElement !== filter) {
    event.preventDefault();
    filter.focus();
  }
});

// The pages refresh themselves by fetch. When that fails, say so and how old the page is: a page that stands still looks
// like a page on which nothing happens.
(() => {
  const asked = window.fetch.bind(window);
  let fresh = Date.now(), failing = false;
  const age = () => {
    const seconds = Math.round((Date.now() - fresh) / 1000);
    return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`;
  };
  const show = () => {
    const note = document.getElementById("stale");
    if (!note) return;
    note.hidden = !failing;
    document.getElementById("stale-age").textContent = age();
  };
  window.fetch = async (...request) => {
    try {
      const answer = await asked(...request);
      failing = answer.status >= 500;
      if (!failing) fresh = Date.now();
      show();
      return answer;
    } catch (error) {
      failing = true;
      show();
      throw error;
    }
  };
  setInterval(() => failing && show(), 1000);
})();
