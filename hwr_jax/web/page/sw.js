"use strict";
// Keeps all files of the page, so that it opens without a network. A new version waits until no page of the old one is
// open, so no page gets files of both.
importScripts("files.js");
const OURS = `hwr ${self.registration.scope} `; // a host may hold the page in several folders
const CACHE = OURS + self.HWR.VERSION;
const ASKED = 3000; // milliseconds for the host to say that it still serves the page

self.addEventListener("install", (event) => {
  const fresh = self.HWR.FILES.map((file) => new Request(file, { cache: "no-cache" })); // as the host has them now
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(fresh)));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(drop((name) => name !== CACHE));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || new URL(request.url).origin !== location.origin) return;
  event.respondWith(request.mode === "navigate" ? opened(request) : kept(request));
});

async function drop(which) {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(OURS) && which(name)).map((name) => caches.delete(name)));
}

/** From the cache, which is complete; what is not in it, from the network. */
async function kept(request) {
  return (await caches.match(request, { cacheName: CACHE, ignoreSearch: true })) || fetch(request);
}

/** Asks the network first whether the page is still there: another program may have its address. */
async function opened(request) {
  if (await isGone()) {
    await drop(() => true);
    await self.registration.unregister();
  }
  return kept(request);
}

/** Whether the host answers, and not with our list of files. */
async function isGone() {
  try {
    const answer = await fetch("files.js", { cache: "no-cache", signal: AbortSignal.timeout(ASKED) });
    return answer.status < 500 && !(answer.ok && (await answer.text()).includes("HWR.VERSION"));
  } catch {
    return false; // no network
  }
}
