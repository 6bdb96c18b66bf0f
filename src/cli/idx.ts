// IDX is the format of the MNIST files. It has two zero bytes, the type of the elements, the number
// of dimensions, each dimension as a big-endian uint32, and then the elements in C order,
// big-endian too. http://yann.lecun.com/exdb/mnist/

import { Fault } from "./fault.ts";

type Elements = Uint8Array | Int8Array | Int16Array | Int32Array | Float32Array | Float64Array;

export interface Idx {
  /** The first length is the number of examples. */
  shape: number[];
  data: Elements;
}

const types: Record<number, { View: new (length: number) => Elements; read: string }> = {
  8: { View: Uint8Array, read: "getUint8" },
  9: { View: Int8Array, read: "getInt8" },
  11: { View: Int16Array, read: "getInt16" },
  12: { View: Int32Array, read: "getInt32" },
  13: { View: Float32Array, read: "getFloat32" },
  14: { View: Float64Array, read: "getFloat64" },
};

/** No text begins with two zero bytes. */
export const isIdx = (bytes: Uint8Array) => bytes.length >= 4 && bytes[0] === 0 && bytes[1] === 0;

/** @param name the name of the file in errors */
export function parseIdx(bytes: Uint8Array<ArrayBuffer>, name: string): Idx {
  const type = types[bytes[2] as number];
  if (!isIdx(bytes) || !type) {
    throw new Fault(
      `${name}: not an IDX file, which begins with 0, 0 and a type (8, 9 or 11 to 14): got ${[...bytes.subarray(0, 4)].join(", ")}`,
    );
  }
  const rank = bytes[3] as number;
  const header = 4 + 4 * rank;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (rank === 0) throw new Fault(`${name}: an IDX file without dimensions has no examples`);
  if (bytes.length < header) throw new Fault(`${name}: cut short within its header`);
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const size = shape.reduce((product, length) => product * length, 1);
  const itemBytes = new type.View(0).BYTES_PER_ELEMENT;
  const expected = header + size * itemBytes;
  if (bytes.length !== expected) {
    throw new Fault(
      `${name}: ${bytes.length < expected ? "cut short" : "too long"}: a header and ${shape.join(" × ")} elements make ${expected} bytes, but the file has ${bytes.length}`,
    );
  }
  if (type.View === Uint8Array) return { shape, data: bytes.subarray(header) };
  const data = new type.View(size);
  const read = (view[type.read as "getInt16"] as DataView["getInt16"]).bind(view);
  for (let i = 0; i < size; i++) data[i] = read(header + i * itemBytes);
  return { shape, data };
}
