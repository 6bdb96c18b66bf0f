// Typed arrays as they are, whatever a subclass, a property of their own or a name says of them:
// the accessors are those of the language, taken when this file is loaded. None of them runs code
// of whoever made the array.

import type { DType } from "./dtype.ts";

const prototype = Object.getPrototypeOf(Uint8Array.prototype) as object;

function accessor<T>(key: string | symbol): (this: unknown) => T {
  return (Object.getOwnPropertyDescriptor(prototype, key) as PropertyDescriptor).get as () => T;
}

const getKind = accessor<string | undefined>(Symbol.toStringTag);
const getLength = accessor<number>("length");
const getBuffer = accessor<ArrayBuffer>("buffer");
const getByteOffset = accessor<number>("byteOffset");
const getByteLength = accessor<number>("byteLength");
const { at } = prototype as Float64Array;

/** The classes of number arrays by their names; not every host has Float16Array. */
const classes: Record<string, Float64ArrayConstructor> = {};
for (const kind of "Int8 Uint8 Uint8Clamped Int16 Uint16 Int32 Uint32 Float16 Float32 Float64".split(
  " ",
)) {
  classes[`${kind}Array`] = (globalThis as never)[`${kind}Array`];
}

/** "Float32Array", say; undefined for what is no typed array. */
export const anyKindOf = (value: unknown): string | undefined => getKind.call(value);

/** The same, and undefined for arrays of big integers. */
export function kindOf(value: unknown): string | undefined {
  const kind = getKind.call(value);
  return kind?.[0] === "B" ? undefined : kind; // BigInt64Array or BigUint64Array
}

/** Whether its buffer is there, and large enough. */
export function isThere(array: unknown): boolean {
  try {
    at.call(array as Float64Array, 0);
    return true;
  } catch {
    return false;
  }
}

/** The elements that there are; 0 where the buffer is gone. */
export const lengthOf = (array: unknown): number => getLength.call(array);

export const bufferOf = (array: unknown): ArrayBuffer => getBuffer.call(array);

export const byteOffsetOf = (array: unknown): number => getByteOffset.call(array);

/** The bytes of a typed array, as a view. */
export const bytesIn = (array: unknown): Uint8Array<ArrayBuffer> =>
  new Uint8Array(getBuffer.call(array), getByteOffset.call(array), getByteLength.call(array));

/** A view of this kind that has no properties but those of the language. */
export function viewOf(
  kind: string,
  buffer: ArrayBuffer,
  byteOffset: number,
  length: number,
): Float64Array<ArrayBuffer> {
  return new (classes[kind] as Float64ArrayConstructor)(buffer, byteOffset, length);
}

/** The dtype of this kind of array; undefined for one that is none of ours. */
export function dtypeOf(kind: string | undefined): DType | undefined {
  if (kind === "Float32Array") return "float32";
  if (kind === "Float64Array") return "float64";
  return kind === "Int32Array" ? "int32" : undefined;
}
