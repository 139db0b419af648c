"use strict";
// Reads beside the page.
importScripts("files.js");
importScripts(...self.HWR.READING.map((name) => `reading/${name}.js`), "model.js");
const net = self.HWR.network.loaded(self.HWR_MODEL);
self.onmessage = ({ data: { grey, mode } }) => {
  try {
    self.postMessage({ found: self.HWR.scan(net, grey, mode) });
  } catch (error) {
    self.postMessage({ error: error.message });
  }
};
self.postMessage({}); // it can read
