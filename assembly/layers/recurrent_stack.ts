// Recurrent layers as a predictor runs them: any number of them on top of each other, each in one
// direction or two, whose outputs lie side by side.

import { Recurrence, RecurrentStack } from "../abi/recurrence";
import { gemmPanelsAloneElements, gemmWorkBytes } from "../blas/gemm";
import { packPanels } from "../blas/pack";
import { roundUp } from "../blas/tile";
import { threads } from "../threads/queue";
import { gruForward } from "./gru";
import { lstmForward } from "./lstm";
import { packHidden } from "./recurrent";
import { rnnForward } from "./rnn";

/** Returns how many gates the first product of a step computes. @inline */
function firstOf(s: RecurrentStack): usize {
  return s.G == 3 && !s.resetAfter ? 2 : s.G;
}

/** Returns the features that layer l takes. @inline */
function featuresOf(s: RecurrentStack, l: usize): usize {
  return l == 0 ? s.D : s.directions * s.H;
}

/** Returns how many elements a layer's first and last states and its sequences take. @inline */
function stateElements(s: RecurrentStack, N: usize): usize {
  return roundUp(N * s.H, 4);
}

/** @inline */
function sequenceElements(s: RecurrentStack, N: usize): usize {
  return roundUp(N * s.T * s.directions * s.H, 4);
}

/** @workBytes recurrent */
export function recurrentStackWorkBytes<T extends number>(window: usize, N: usize): usize {
  const s = changetype<RecurrentStack>(window);
  const H = s.H;
  const GH = s.G * H;
  const columns = firstOf(s) * H;
  let product: usize = 0;
  for (let l: usize = 0; l < min(s.layers, 2); l++) {
    for (let n: usize = 1; n < 4; n++) {
      product = max(product, gemmWorkBytes<T>(n == 3 ? N * s.T : n, GH, featuresOf(s, l), 1));
    }
  }
  const each = roundUp((H + gemmPanelsAloneElements<T>(N, columns, H)) * sizeof<T>(), 16);
  const states = 2 * s.layers * s.directions * stateElements(s, N);
  const pass = N * s.T * GH + N * columns + 2 * N * H + 16;
  const elements = states + 2 * sequenceElements(s, N) + pass;
  const own = roundUp(offsetof<Recurrence>(), 16) + elements * sizeof<T>() + 64;
  return own + max(product, max(threads(), 1) * each);
}

/** @packBytes recurrent */
export function recurrentStackPackBytes<T extends number>(window: usize): usize {
  const s = changetype<RecurrentStack>(window);
  let rows: usize = 0;
  for (let l: usize = 0; l < s.layers; l++) rows += featuresOf(s, l) + s.H;
  return s.directions * rows * s.G * s.H * sizeof<T>();
}

/**
 * Packs wx and wh of each layer and direction, which stand behind each other.
 *
 * @pack recurrent
 */
export function recurrentStackPack<T extends number>(panels: usize, w: usize, window: usize): void {
  const s = changetype<RecurrentStack>(window);
  const H = s.H;
  const GH = s.G * H;
  for (let l: usize = 0; l < s.layers; l++) {
    const D = featuresOf(s, l);
    const bytes = D * GH * sizeof<T>();
    for (let d: usize = 0; d < s.directions; d++) {
      packPanels<T>(panels, w, GH, D, GH);
      packHidden<T>(panels + bytes, w + bytes, H, s.G, firstOf(s));
      panels += bytes + H * GH * sizeof<T>();
      w += bytes + H * GH * sizeof<T>();
    }
  }
}

/**
 * Runs all layers on N examples (T, D). Their first states are those in `state`, where the last
 * ones are left, h and then c of each layer and direction with room for `capacity` examples; they
 * are zeros where the address is 0.
 *
 * @operation recurrent
 */
export function recurrentStack<T extends number>(
  out: usize, // (N, T, directions · H), or (N, directions · H) of the last states
  x: usize, // (N, T, D)
  panels: usize, // as recurrentStackPack leaves them
  biases: usize, // b, and bh of a gru that resets after the product, of each layer and direction
  state: usize,
  window: usize,
  work: usize,
  N: usize,
): void {
  const s = changetype<RecurrentStack>(window);
  const H = s.H;
  const GH = s.G * H;
  const size = sizeof<T>();
  const r = changetype<Recurrence>(work);
  memory.fill(work, 0, offsetof<Recurrence>());
  work += roundUp(offsetof<Recurrence>(), 16);
  let states = state;
  let eachState = s.capacity * H * size;
  if (state == 0) {
    states = work;
    eachState = stateElements(s, N) * size;
    work += 2 * s.layers * s.directions * eachState;
    memory.fill(states, 0, work - states);
  }
  const pitch = s.directions * H;
  const bytes = sequenceElements(s, N) * size;
  const own = work;
  r.work = own + 2 * bytes;
  r.N = N;
  r.T = s.T;
  r.H = H;
  r.pitch = pitch;
  r.resetAfter = s.resetAfter;
  r.isPacked = 1;
  r.x = x;
  for (let l: usize = 0; l < s.layers; l++) {
    const isLast = l + 1 == s.layers;
    const to = isLast ? (s.returnSequences ? out : 0) : own + (l & 1) * bytes;
    r.D = featuresOf(s, l);
    for (let d: usize = 0; d < s.directions; d++) {
      r.isReverse = <u32>d;
      r.out = to == 0 ? 0 : to + d * H * size;
      r.wx = panels;
      r.wh = panels + r.D * GH * size;
      panels = r.wh + H * GH * size;
      r.b = biases;
      biases += GH * size;
      r.bh = 0;
      if (s.G == 3 && s.resetAfter) {
        r.bh = biases;
        biases += GH * size;
      }
      r.h0 = states;
      r.h = states;
      states += eachState;
      if (s.G == 4) {
        r.c0 = states;
        r.c = states;
      }
      states += eachState;
      r.gates = 0;
      if (s.G == 1) rnnForward<T>(changetype<usize>(r));
      else if (s.G == 3) gruForward<T>(changetype<usize>(r));
      else lstmForward<T>(changetype<usize>(r));
      if (to == 0) {
        for (let n: usize = 0; n < N; n++) {
          memory.copy(out + (n * pitch + d * H) * size, r.h + n * H * size, H * size);
        }
      }
    }
    r.x = to;
  }
}
