// The microkernel of depthwise convolution: each channel is a product of its own, so vectors hold
// channels. The same loop sums over the taps of four pixels, or over pixels for four taps.

import { LANES, loadLanes, multiplyAdd, storeLanes } from "../simd";

/**
 * Rows of channels, four at a time: out (4 · tiles, channels `from` to `end`) = min(max(Σₑ x[row,
 * e] · w[e] + bias, floor), ceiling), and a NaN stays. Each entry of a table is two addresses. The
 * channels of x[row, e] are at the sum of the first ones of the row's entry and of entry e, those
 * of w[e] at w + the second one of e, and those of out at the second one of the row's entry in
 * `outs`. The bias is left out if its address is 0.
 */
export function depthwise_4x2v_simd128<T extends number>(
  outs: usize,
  rows: usize,
  tiles: usize,
  entries: usize,
  endOfEntries: usize,
  w: usize,
  bias: usize,
  from: usize,
  end: usize,
  floor: T,
  ceiling: T,
): void {
  const size = sizeof<T>();
  const least = v128.splat<T>(floor);
  const most = v128.splat<T>(ceiling);
  let s00: v128, s01: v128, s10: v128, s11: v128, s20: v128, s21: v128, s30: v128, s31: v128;
  let w0: v128, w1: v128;
  for (; tiles > 0; tiles--) {
    const r0 = load<usize>(rows);
    const r1 = load<usize>(rows, 8);
    const r2 = load<usize>(rows, 16);
    const r3 = load<usize>(rows, 24);
    const to0 = load<usize>(outs, 4);
    const to1 = load<usize>(outs, 12);
    const to2 = load<usize>(outs, 20);
    const to3 = load<usize>(outs, 28);
    let c = from * size;
    for (; c + 32 <= end * size; c += 32) {
      s00 = s01 = s10 = s11 = s20 = s21 = s30 = s31 = v128.splat<T>(<T>0);
      for (let e = entries; e != endOfEntries; e += 8) {
        const x = load<usize>(e) + c;
        const wc = w + load<usize>(e, 4) + c;
        w0 = v128.load(wc);
        s00 = multiplyAdd<T>(v128.load(x + r0), w0, s00);
        s10 = multiplyAdd<T>(v128.load(x + r1), w0, s10);
        s20 = multiplyAdd<T>(v128.load(x + r2), w0, s20);
        s30 = multiplyAdd<T>(v128.load(x + r3), w0, s30);
        // V8 would load all of a block's operands at its top, and spill them. This exit, which
        // nobody takes, makes two blocks of it.
        if (wc == 0) break;
        w1 = v128.load(wc, 16);
        s01 = multiplyAdd<T>(v128.load(x + r0, 16), w1, s01);
        s11 = multiplyAdd<T>(v128.load(x + r1, 16), w1, s11);
        s21 = multiplyAdd<T>(v128.load(x + r2, 16), w1, s21);
        s31 = multiplyAdd<T>(v128.load(x + r3, 16), w1, s31);
      }
      if (bias != 0) {
        w0 = v128.load(bias + c);
        w1 = v128.load(bias + c, 16);
        s00 = v128.add<T>(s00, w0);
        s01 = v128.add<T>(s01, w1);
        s10 = v128.add<T>(s10, w0);
        s11 = v128.add<T>(s11, w1);
        s20 = v128.add<T>(s20, w0);
        s21 = v128.add<T>(s21, w1);
        s30 = v128.add<T>(s30, w0);
        s31 = v128.add<T>(s31, w1);
      }
      v128.store(to0 + c, v128.pmin<T>(v128.pmax<T>(s00, least), most));
      v128.store(to0 + c, v128.pmin<T>(v128.pmax<T>(s01, least), most), 16);
      v128.store(to1 + c, v128.pmin<T>(v128.pmax<T>(s10, least), most));
      v128.store(to1 + c, v128.pmin<T>(v128.pmax<T>(s11, least), most), 16);
      v128.store(to2 + c, v128.pmin<T>(v128.pmax<T>(s20, least), most));
      v128.store(to2 + c, v128.pmin<T>(v128.pmax<T>(s21, least), most), 16);
      v128.store(to3 + c, v128.pmin<T>(v128.pmax<T>(s30, least), most));
      v128.store(to3 + c, v128.pmin<T>(v128.pmax<T>(s31, least), most), 16);
    }
    for (; c < end * size; c += 16) {
      const n = min(end - c / size, LANES<T>());
      for (let row: usize = 0; row < 32; row += 8) {
        const r = load<usize>(rows + row) + c;
        s00 = v128.splat<T>(<T>0);
        for (let e = entries; e != endOfEntries; e += 8) {
          const x = loadLanes<T>(load<usize>(e) + r, n);
          s00 = multiplyAdd<T>(x, loadLanes<T>(w + load<usize>(e, 4) + c, n), s00);
        }
        if (bias != 0) s00 = v128.add<T>(s00, loadLanes<T>(bias + c, n));
        s00 = v128.pmin<T>(v128.pmax<T>(s00, least), most);
        storeLanes<T>(load<usize>(outs + row, 4) + c, s00, n);
      }
    }
    rows += 32;
    outs += 32;
  }
}
