// Show new comments and states within a second, without disturbing a person who is typing.
const live = document.getElementById("live");
let last = "";
setInterval(async () => {
  if (!live || document.hidden || live.contains(document.activeElement)) return;
  const answer = await fetch(location.pathname).catch(() => null);
  if (!answer || !answer.ok) return;
  const next = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
  if (next && next.innerHTML !== last) live.innerHTML = last = next.innerHTML;
}, 1000);
