// Fetches the live part of a page again, every two seconds while somebody looks at it. Without this a page is as complete, and stands still.
"use strict";
const EVERY = 2000;
let missed = 0;
function told(ok) {
  missed = ok ? 0 : missed + 1;
  const stale = document.getElementById("stale");
  if (stale) stale.hidden = missed < 2;
}
async function refresh() {
  const live = document.querySelector("[data-live]");
  if (!live) return;
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", headers: { "wattscore-live": "1" }, redirect: "manual" });
      // Who looks is not known any more, or a proxy sends them to log in: the page says so, in place of what it showed.
      if (answer.status === 401 || answer.status === 403 || answer.type === "opaqueredirect") return location.reload();
      told(answer.ok);
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#" + live.id);
        if (!fresh) return;
        if (fresh.innerHTML !== live.innerHTML && !live.contains(document.activeElement)) live.innerHTML = fresh.innerHTML;
        if (!("live" in fresh.dataset)) return;
      }
    } catch {
      told(false); // the daemon is away for a while
    }
  }
  setTimeout(refresh, EVERY);
}
setTimeout(refresh, EVERY);
