// `toEqual` walks through the numbers of a typed array one by one, which took most of the time of
// tests that compare large ones. Arrays of one type with the same bytes are equal at once; all
// others are left to `toEqual`, which knows that one NaN is as good as another.

import { expect } from "vitest";

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  new Uint8Array(buffer, byteOffset, byteLength);

expect.addEqualityTesters([
  (a: unknown, b: unknown) => {
    if (!ArrayBuffer.isView(a) || !ArrayBuffer.isView(b)) return undefined;
    if (a.constructor !== b.constructor || a.byteLength !== b.byteLength) return undefined;
    return Buffer.compare(bytesOf(a), bytesOf(b)) === 0 || undefined;
  },
]);
