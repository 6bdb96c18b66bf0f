// The recurrent layers as plain float64 loops over single steps, forward and back through time.
// What a step computes is written out cell by cell; nothing is shared with the kernels' order.

import type { Numbers } from "./reference.ts";

export interface RecurrentSizes {
  readonly N: number;
  readonly T: number;
  readonly D: number;
  readonly H: number;
}

export interface RecurrentOperands {
  readonly x: Numbers;
  readonly h0: Numbers;
  readonly c0?: Numbers | undefined;
  readonly wx: Numbers;
  readonly wh: Numbers;
  readonly b: Numbers;
  readonly bh?: Numbers | undefined;
}

export interface RecurrentSettings {
  readonly lengths?: Numbers | undefined;
  readonly resetAfter?: boolean | undefined;
}

const zeros = (n: number) => new Array<number>(n).fill(0);
const sigmoid = (x: number) => (x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x)));

/** What one step of one sequence leaves for the way back. */
interface Step {
  readonly h: number[];
  readonly c: number[];
  readonly gates: number[];
  /** h · un + bhn of a gru. */
  readonly inner: number[];
}

interface Pass {
  readonly out: number[];
  readonly h: number[];
  readonly c: number[];
  /** By sequence and step, and first the state before all of them. */
  readonly steps: Step[][];
}

/** Σ over k of row[k] · w[k, column], w with so many columns. */
function times(row: Numbers, at: number, w: Numbers, K: number, columns: number, column: number) {
  let sum = 0;
  for (let k = 0; k < K; k++) sum += row[at + k]! * w[k * columns + column]!;
  return sum;
}

function forward(
  G: 1 | 3 | 4,
  { N, T, D, H }: RecurrentSizes,
  { x, h0, c0, wx, wh, b, bh }: RecurrentOperands,
  { lengths, resetAfter = true }: RecurrentSettings = {},
): Pass {
  const GH = G * H;
  const [out, lastH, lastC] = [zeros(N * T * H), zeros(N * H), zeros(N * H)];
  const all: Step[][] = [];
  for (let n = 0; n < N; n++) {
    let h = Array.from({ length: H }, (_, j) => h0[n * H + j]!);
    let c = Array.from({ length: H }, (_, j) => c0?.[n * H + j] ?? 0);
    const steps: Step[] = [{ h, c, gates: [], inner: [] }];
    const length = lengths ? lengths[n]! : T;
    for (let t = 0; t < length; t++) {
      const byX = (j: number) => times(x, (n * T + t) * D, wx, D, GH, j) + b[j]!;
      const byH = (state: Numbers, j: number) => times(state, 0, wh, H, GH, j) + (bh?.[j] ?? 0);
      const each = (fn: (j: number) => number) => Array.from({ length: H }, (_, j) => fn(j));
      const [before, cell] = [h, c];
      let gates: number[];
      let inner: number[] = [];
      if (G === 1) {
        h = each((j) => Math.tanh(byX(j) + byH(before, j)));
        gates = [];
      } else if (G === 4) {
        const a = (block: number) => each((j) => byX(block * H + j) + byH(before, block * H + j));
        const [i, f, o] = [0, 1, 2].map((block) => a(block).map(sigmoid));
        const g = a(3).map(Math.tanh);
        c = each((j) => f![j]! * cell[j]! + i![j]! * g[j]!);
        h = each((j) => o![j]! * Math.tanh(c[j]!));
        gates = [...i!, ...f!, ...o!, ...g];
      } else {
        const [r, z] = [0, 1].map((block) =>
          each((j) => sigmoid(byX(block * H + j) + byH(before, block * H + j))),
        );
        const reset = resetAfter ? before : each((j) => r![j]! * before[j]!);
        inner = each((j) => byH(reset, 2 * H + j));
        const fresh = each((j) =>
          Math.tanh(byX(2 * H + j) + (resetAfter ? r![j]! : 1) * inner[j]!),
        );
        h = each((j) => (1 - z![j]!) * fresh[j]! + z![j]! * before[j]!);
        gates = [...r!, ...z!, ...fresh];
      }
      for (let j = 0; j < H; j++) out[(n * T + t) * H + j] = h[j]!;
      steps.push({ h, c, gates, inner });
    }
    for (let j = 0; j < H; j++) [lastH[n * H + j], lastC[n * H + j]] = [h[j]!, c[j]!];
    all.push(steps);
  }
  return { out, h: lastH, c: lastC, steps: all };
}

function backward(
  G: 1 | 3 | 4,
  sizes: RecurrentSizes,
  operands: RecurrentOperands,
  dout: Numbers,
  {
    dh,
    dc,
    ...settings
  }: RecurrentSettings & { dh?: Numbers | undefined; dc?: Numbers | undefined },
): Record<"dx" | "dh0" | "dc0" | "dwx" | "dwh" | "db" | "dbh", number[]> {
  const { N, T, D, H } = sizes;
  const { x, wx, wh } = operands;
  const { resetAfter = true } = settings;
  const GH = G * H;
  const { steps } = forward(G, sizes, operands, settings);
  const results = {
    ...{ dx: zeros(N * T * D), dh0: zeros(N * H), dc0: zeros(N * H) },
    ...{ dwx: zeros(D * GH), dwh: zeros(H * GH), db: zeros(GH), dbh: zeros(GH) },
  };
  for (let n = 0; n < N; n++) {
    let up = Array.from({ length: H }, (_, j) => dh?.[n * H + j] ?? 0);
    let upC = Array.from({ length: H }, (_, j) => dc?.[n * H + j] ?? 0);
    const own = steps[n]!;
    for (let t = own.length - 2; t >= 0; t--) {
      const [before, { h, c, gates, inner }] = [own[t]!, own[t + 1]!];
      const below = zeros(H);
      const belowC = zeros(H);
      // The gradients of the sums: by x · wx + b, and by h · wh + bh; and what multiplied wh.
      const da = zeros(GH);
      const byH = zeros(GH);
      const factor = (k: number, block: number) =>
        G === 3 && block === 2 && !resetAfter ? gates[k]! * before.h[k]! : before.h[k]!;
      for (let j = 0; j < H; j++) {
        const d = up[j]! + dout[(n * T + t) * H + j]!;
        if (G === 1) {
          da[j] = d * (1 - h[j]! ** 2);
        } else if (G === 4) {
          const [i, f, o, g] = [0, 1, 2, 3].map((block) => gates[block * H + j]!) as [
            ...[number, number, number, number],
          ];
          const y = Math.tanh(c[j]!);
          const cell = upC[j]! + d * o * (1 - y * y);
          da[j] = cell * g * i * (1 - i);
          da[H + j] = cell * before.c[j]! * f * (1 - f);
          da[2 * H + j] = d * y * o * (1 - o);
          da[3 * H + j] = cell * i * (1 - g * g);
          belowC[j] = cell * f;
        } else {
          const [r, z, fresh] = [0, 1, 2].map((block) => gates[block * H + j]!) as [
            ...[number, number, number],
          ];
          const last = d * (1 - z) * (1 - fresh * fresh);
          da[H + j] = d * (before.h[j]! - fresh) * z * (1 - z);
          da[2 * H + j] = last;
          if (resetAfter) da[j] = last * inner[j]! * r * (1 - r);
          below[j] = d * z;
        }
      }
      if (G === 3 && !resetAfter) {
        // Through (r · h) · un, of which all elements of n take a part.
        for (let k = 0; k < H; k++) {
          let sum = 0;
          for (let j = 0; j < H; j++) sum += da[2 * H + j]! * wh[k * GH + 2 * H + j]!;
          da[k] = sum * before.h[k]! * gates[k]! * (1 - gates[k]!);
          below[k]! += sum * gates[k]!;
        }
      }
      for (let q = 0; q < GH; q++) {
        byH[q] = G === 3 && q >= 2 * H && resetAfter ? da[q]! * gates[q - 2 * H]! : da[q]!;
        results.db[q]! += da[q]!;
        results.dbh[q]! += byH[q]!;
        for (let d = 0; d < D; d++) {
          results.dwx[d * GH + q]! += x[(n * T + t) * D + d]! * da[q]!;
          results.dx[(n * T + t) * D + d]! += da[q]! * wx[d * GH + q]!;
        }
        const isReset = G === 3 && !resetAfter && q >= 2 * H;
        for (let k = 0; k < H; k++) {
          results.dwh[k * GH + q]! += factor(k, Math.floor(q / H)) * byH[q]!;
          if (!isReset) below[k]! += byH[q]! * wh[k * GH + q]!;
        }
      }
      up = below;
      upC = belowC;
    }
    for (let j = 0; j < H; j++)
      [results.dh0[n * H + j], results.dc0[n * H + j]] = [up[j]!, upC[j]!];
  }
  return results;
}

type Sizes = RecurrentSizes;
type Operands = RecurrentOperands;
type Settings = RecurrentSettings;
type States = { dh?: Numbers | undefined; dc?: Numbers | undefined };

/** h = tanh(x · wx + h · wh + b) */
export const rnnForward = (sizes: Sizes, operands: Operands, settings: Settings = {}) =>
  forward(1, sizes, operands, settings);
export const rnnBackward = (s: Sizes, o: Operands, dout: Numbers, more: Settings & States = {}) =>
  backward(1, s, o, dout, more);

/** Gates i, f, o, g; c = f · c + i · g, h = o · tanh(c). */
export const lstmForward = (sizes: Sizes, operands: Operands, settings: Settings = {}) =>
  forward(4, sizes, operands, settings);
export const lstmBackward = (s: Sizes, o: Operands, dout: Numbers, more: Settings & States = {}) =>
  backward(4, s, o, dout, more);

/** Gates r, z, n; h = (1 − z) · n + z · h. */
export const gruForward = (sizes: Sizes, operands: Operands, settings: Settings = {}) =>
  forward(3, sizes, operands, settings);
export const gruBackward = (s: Sizes, o: Operands, dout: Numbers, more: Settings & States = {}) =>
  backward(3, s, o, dout, more);
