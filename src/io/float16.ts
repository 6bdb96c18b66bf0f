/**
 * Returns the bits of the float32 that equals the float16 with the bits h; there is one for each.
 */
export function float32BitsOfFloat16(h: number): number {
  const sign = (h & 0x8000) << 16;
  const exponent = (h >> 10) & 31;
  const fraction = h & 1023;
  if (exponent === 31) return sign | 0x7f800000 | (fraction << 13); // it is an infinity or a NaN
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13); // 112 = 127 − 15
  if (fraction === 0) return sign;
  // A subnormal is fraction · 2⁻²⁴, which float32 holds as a normal number: its first 1 becomes the
  // hidden bit.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 1023) << 13);
}

/** Returns the bits of the float16s that are nearest to these numbers; ties go to the even one. */
export function float16sOf(values: ArrayLike<number>): Uint16Array<ArrayBuffer> {
  const float = new Float32Array(1);
  const bits = new Int32Array(float.buffer);
  return Uint16Array.from(values, (value) => {
    const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
    const size = Math.abs(value);
    // it is NaN or infinite
    if (!(size < 65520)) return sign | (Number.isNaN(size) ? 0x7e00 : 0x7c00);
    // The exponent is that of float32, which is one more where rounding carries, as it then does
    // here too; below 2⁻¹⁴ float16 has subnormals.
    float[0] = size;
    const exponent = Math.max(((bits[0] as number) >> 23) - 127, -14);
    bits[0] = (exponent + 117) << 23; // 2^(exponent − 10), the step between neighbours
    // a whole number; ties go to even
    const steps = size / (float[0] as number) + 2 ** 52 - 2 ** 52;
    return sign | (((exponent + 14) << 10) + steps); // the first bit of the steps is the hidden one
  });
}

/** Returns the bits of the float32 that equals a bfloat16, which is its upper half. */
export function float32BitsOfBfloat16(h: number): number {
  return h << 16;
}
