"use strict";
// "/" puts the cursor into the filter, as people expect of lists.
document.addEventListener("keydown", (event) => {
  const filter = document.getElementById("q");
  if (event.key === "/" && filter && document.activeElement !== filter) {
    event.preventDefault();
    filter.focus();
  }
});
