// @ts-check
// IDX, the format of the MNIST files: two zero bytes, the type of the elements, the number of dimensions, each
// dimension as a big-endian uint32, and then the elements in C order. http://yann.lecun.com/exdb/mnist/

const UNSIGNED_BYTE = 0x08;

/**
 * @typedef {object} Idx
 * @property {number[]} shape
 * @property {Uint8Array} data The elements, a view of the file's bytes
 */

/**
 * @param {Uint8Array} bytes A whole file
 * @param {string} name What errors call it
 * @returns {Idx}
 */
export function parseIdx(bytes, name) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4) {
    throw new Error(`${name}: an IDX file has at least 4 bytes, this one ${bytes.length}`);
  }
  const magic = view.getUint32(0);
  if (magic >>> 8 !== UNSIGNED_BYTE) {
    const found = magic.toString(16).padStart(8, "0");
    throw new Error(`${name}: not an IDX file of bytes: starts with 0x${found}, not 0x000008…`);
  }

  const rank = view.getUint8(3);
  const header = 4 + 4 * rank;
  if (bytes.length < header) {
    throw new Error(
      `${name}: cut short: ${rank} dimensions make a header of ${header} bytes, ` +
        `but the file has ${bytes.length}`,
    );
  }
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const size = shape.reduce((product, length) => product * length, 1);
  if (bytes.length !== header + size) {
    const problem = bytes.length < header + size ? "cut short" : "too long";
    throw new Error(
      `${name}: ${problem}: ${shape.join(" × ")} elements and a header make ` +
        `${header + size} bytes, but the file has ${bytes.length}`,
    );
  }
  return { shape, data: bytes.subarray(header) };
}
