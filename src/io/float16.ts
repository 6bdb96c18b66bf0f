/**
 * The bits of the float32 that equals a float16, which has bits h: exact for all 65,536 of them.
 */
export function float32BitsOfFloat16(h: number): number {
  const sign = (h & 0x8000) << 16;
  const exponent = (h >> 10) & 31;
  const fraction = h & 1023;
  if (exponent === 31) return sign | 0x7f800000 | (fraction << 13); // an infinity, or a NaN
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13); // 112 = 127 − 15
  if (fraction === 0) return sign;
  // A subnormal, fraction · 2⁻²⁴, which float32 holds as a normal number: its first 1 becomes the
  // hidden bit.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 1023) << 13);
}

/** The bits of the float16s that are nearest to these numbers, of two as near the even one. */
export function float16sOf(values: ArrayLike<number>): Uint16Array<ArrayBuffer> {
  const float = new Float32Array(1);
  const bits = new Int32Array(float.buffer);
  return Uint16Array.from(values, (value) => {
    const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
    const size = Math.abs(value);
    if (!(size < 65520)) return sign | (Number.isNaN(size) ? 0x7e00 : 0x7c00); // NaN, or infinity
    // The exponent is that of float32, which is one more where rounding carries, as it then does
    // here too; below 2⁻¹⁴ float16 has subnormals.
    float[0] = size;
    const exponent = Math.max(((bits[0] as number) >> 23) - 127, -14);
    bits[0] = (exponent + 117) << 23; // 2^(exponent − 10), the step between neighbours
    const steps = size / (float[0] as number) + 2 ** 52 - 2 ** 52; // whole: halves go to even
    return sign | (((exponent + 14) << 10) + steps); // the first bit of the steps is the hidden one
  });
}

/** The bits of the float32 that equals a bfloat16, which is the upper half of it. */
export function float32BitsOfBfloat16(h: number): number {
  return h << 16;
}
