// Zero padding of images: x (N, H, W, C) in the middle of zeros, out (N, OH, OW, C). It moves
// bytes, whatever they are of.

import { Window } from "../abi/window";

/** Of the window it needs the two sizes and where the image begins, `top` and `left`. @kernel */
export function zeroPadForward(
  out: usize, // (N, OH, OW, C)
  x: usize, // (N, H, W, C)
  window: usize,
  N: usize,
  cellBytes: usize,
): void {
  const w = changetype<Window>(window);
  const line = <usize>w.W * cellBytes;
  const outLine = <usize>w.OW * cellBytes;
  const left = <usize>w.left * cellBytes;
  const below = w.OH - w.top - w.H;
  for (let n: usize = 0; n < N; n++) {
    memory.fill(out, 0, <usize>w.top * outLine);
    out += <usize>w.top * outLine;
    for (let h: u32 = 0; h < w.H; h++) {
      memory.fill(out, 0, left);
      memory.copy(out + left, x, line);
      memory.fill(out + left + line, 0, outLine - left - line);
      out += outLine;
      x += line;
    }
    memory.fill(out, 0, <usize>below * outLine);
    out += <usize>below * outLine;
  }
}

/** @operation zeroPad2d @inline */
export function zeroPad<T extends number>(
  out: usize, // (N, OH, OW, C)
  x: usize, // (N, H, W, C)
  window: usize,
  N: usize,
): void {
  zeroPadForward(out, x, window, N, changetype<Window>(window).C * sizeof<T>());
}

/** dx is the middle of dout. @kernel */
export function zeroPadBackward(
  dx: usize, // (N, H, W, C)
  dout: usize, // (N, OH, OW, C)
  window: usize,
  N: usize,
  cellBytes: usize,
): void {
  const w = changetype<Window>(window);
  const line = <usize>w.W * cellBytes;
  const outLine = <usize>w.OW * cellBytes;
  for (let n: usize = 0; n < N; n++) {
    let from = dout + <usize>w.top * outLine + <usize>w.left * cellBytes;
    for (let h: u32 = 0; h < w.H; h++) {
      memory.copy(dx, from, line);
      dx += line;
      from += outLine;
    }
    dout += <usize>w.OH * outLine;
  }
}
