/** The bits of the float32 that equals a float16, which has bits h: exact for all 65,536 of them. */
export function float32BitsOfFloat16(h: number): number {
  const sign = (h & 0x8000) << 16;
  const exponent = (h >> 10) & 31;
  const fraction = h & 1023;
  if (exponent === 31) return sign | 0x7f800000 | (fraction << 13); // an infinity, or a NaN
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13); // 112 = 127 − 15
  if (fraction === 0) return sign;
  // A subnormal, fraction · 2⁻²⁴, which float32 holds as a normal number: its first 1 becomes the hidden bit.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 1023) << 13);
}

/** The same for bfloat16, which is a float32's upper half. */
export function float32BitsOfBfloat16(h: number): number {
  return h << 16;
}
