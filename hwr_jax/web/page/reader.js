"use strict";
// Who reads: a worker beside the page, so that the page stays responsive; or the page itself, where a browser allows no
// worker (a file that was opened by double click).
(function (H) {
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

  function inWorker() {
    return new Promise((resolve, reject) => {
      const worker = new Worker("worker.js");
      const waiting = new Map();
      let number = 0;
      const read = ({ h, w, a }, mode) =>
        new Promise((done, failed) => {
          waiting.set(++number, { done, failed });
          worker.postMessage({ number, grey: { h, w, a }, mode });
        });
      worker.onmessage = ({ data }) => {
        if (data.ready) return resolve(read);
        const { done, failed } = waiting.get(data.number);
        waiting.delete(data.number);
        return data.error ? failed(new Error(data.error)) : done(data.found);
      };
      worker.onerror = (event) => {
        reject(new Error(event.message));
        for (const { failed } of waiting.values()) failed(new Error(event.message));
      };
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
