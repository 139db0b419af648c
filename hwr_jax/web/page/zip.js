"use strict";
// A zip archive of files that are stored as they are.
(function (H) {
  const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
    let value = n;
    for (let k = 0; k < 8; k++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
    return value;
  });

  function checksum(bytes) {
    let value = 0xffffffff;
    for (const byte of bytes) value = TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
    return (value ^ 0xffffffff) >>> 0;
  }

  /** Numbers [value, bytes], little-endian, one after the other. */
  function packed(...numbers) {
    const bytes = [];
    for (const [value, n] of numbers) for (let i = 0; i < n; i++) bytes.push(Math.floor(value / 256 ** i) % 256);
    return Uint8Array.from(bytes);
  }

  /** A Blob of files [{name, bytes}]; names are ASCII. */
  function zipped(files) {
    const [parts, directory] = [[], []];
    let [at, listed] = [0, 0];
    for (const { name, bytes } of files) {
      const title = new TextEncoder().encode(name);
      const facts = [[20, 2], [0, 2], [0, 2], [0, 2], [0x5a21, 2], [checksum(bytes), 4], [bytes.length, 4],
        [bytes.length, 4], [title.length, 2], [0, 2]];
      const head = packed([0x04034b50, 4], ...facts);
      const entry = packed([0x02014b50, 4], [20, 2], ...facts, [0, 2], [0, 2], [0, 2], [0, 4], [at, 4]);
      parts.push(head, title, bytes);
      directory.push(entry, title);
      at += head.length + title.length + bytes.length;
      listed += entry.length + title.length;
    }
    const end = packed([0x06054b50, 4], [0, 2], [0, 2], [files.length, 2], [files.length, 2], [listed, 4], [at, 4], [0, 2]);
    return new Blob([...parts, ...directory, end], { type: "application/zip" });
  }

  H.zip = { zipped };
})(self.HWR);
