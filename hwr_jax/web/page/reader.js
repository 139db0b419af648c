"use strict";
// Who reads: a worker beside the page, so that the page stays responsive; or the page itself, where a browser allows no
// worker (a file that was opened by double click).
(function (H) {
  const MOST = 15_000; // milliseconds for a picture: a page of a thousand digits takes 5,000

  /** Starts whoever reads. Resolves to read(grey, mode), which resolves to what `HWR.scan` returns. */
  async function started() {
    if (location.protocol !== "file:") {
      try {
        return await inWorker();
      } catch {
        // a browser without workers, or a host that forbids them: the page reads
      }
    }
    return inPage();
  }

  /** Reads one picture at a time. One that takes too long is given up with its worker, and the next gets another. */
  async function inWorker() {
    let worker = await ready();
    return async ({ h, w, a }, mode) => {
      worker ??= await ready();
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          worker.terminate();
          worker = null;
          reject(new Error(`it takes longer than the ${MOST / 1000} seconds allowed.`));
        }, MOST);
        worker.onmessage = ({ data: { found, error } }) => {
          clearTimeout(timer);
          if (error) reject(new Error(error));
          else resolve(found);
        };
        worker.postMessage({ grey: { h, w, a }, mode });
      });
    };
  }

  function ready() {
    return new Promise((resolve, reject) => {
      const worker = new Worker("worker.js");
      worker.onmessage = () => resolve(worker);
      worker.onerror = () => reject(new Error("the reader could not be started."));
    });
  }

  async function inPage() {
    const scripts = [...H.READING.map((name) => `reading/${name}.js`), "model.js"];
    await Promise.all(scripts.map((source) =>
      new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.async = false; // in this order
        script.onload = resolve;
        script.onerror = () => reject(new Error(`${source} could not be loaded`));
        script.src = source;
        document.head.append(script);
      })));
    const net = H.network.loaded(self.HWR_MODEL);
    return (grey, mode) =>
      new Promise((resolve, reject) => {
        setTimeout(() => { // the page shows first what was drawn
          try {
            resolve(H.scan(net, grey, mode));
          } catch (error) {
            reject(error);
          }
        });
      });
  }

  H.reader = { started };
})(self.HWR);
