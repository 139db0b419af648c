"use strict";
// Reads beside the page.
importScripts("files.js");
importScripts(...self.HWR.READING.map((name) => `reading/${name}.js`), "model.js");
const net = self.HWR.network.loaded(self.HWR_MODEL);
self.onmessage = ({ data: { number, grey, mode } }) => {
  try {
    self.postMessage({ number, found: self.HWR.scan(net, grey, mode) });
  } catch (error) {
    self.postMessage({ number, error: error.message });
  }
};
self.postMessage({ ready: true });
