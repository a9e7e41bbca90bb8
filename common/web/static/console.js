// Fetches the live part of a page again, every two seconds while somebody looks at it. Without this a page is as complete, and stands still.
"use strict";
const EVERY = 2000;
async function refresh() {
  const live = document.querySelector("[data-live]");
  if (!live) return;
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", headers: { "wattscore-live": "1" } });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#" + live.id);
      if (!fresh) return;
      if (fresh.innerHTML !== live.innerHTML && !live.contains(document.activeElement)) live.innerHTML = fresh.innerHTML;
      if (!("live" in fresh.dataset)) return;
    } catch {
      // the daemon is away for a while
    }
  }
  setTimeout(refresh, EVERY);
}
setTimeout(refresh, EVERY);
