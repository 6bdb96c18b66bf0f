// The rows of attention in the table of operations.ts.

import { attentionBackward, attentionForward } from "../../src/index.ts";
import * as reference from "../support/reference.ts";
import type { Draw, Shape } from "./draw.ts";
import type { Expected, Operation, Results, Settings, Shapes, Twin } from "./operations.ts";

// biome-ignore lint/suspicious/noExplicitAny: calls with tensors of either dtype
type Any = any;

const same = (a: Shape, b: Shape) => a.length === b.length && a.every((n, i) => n === b[i]);

function operands(draw: Draw): Shapes {
  const [N, T, S, E] = [draw.int(0, 3), draw.dim(), draw.dim(), draw.pick([0, 1, 4, 6, 12])];
  return { q: [N, T, E], k: [N, S, E], v: [N, S, E] };
}

function fits({ q, k, v, dout }: Shapes, { heads }: Settings) {
  if (q!.length !== 3 || k!.length !== 3) return "ShapeError";
  const [N, , E] = q as [number, number, number];
  if (!same(k!, [N, k![1]!, E]) || !same(v!, k!) || E % heads !== 0) return "ShapeError";
  return !dout || same(dout, q!) || "ShapeError";
}

const settings = (draw: Draw, { q }: Shapes): Settings => ({
  heads: draw.pick([1, 2, 3, 4].filter((heads) => q![2]! % heads === 0)),
  causal: draw.pick([undefined, false, true]),
});

const wrong: Operation["wrong"] = [
  ...[0, -1, 1.5, "1", null, undefined].map((heads) => [{ heads }, "RangeError"] as const),
  ...[0, "true", null].map((causal) => [{ causal }, "RangeError"] as const),
  ...[0, [[1]], null].map((mask) => [{ mask }, "TypeError"] as const),
];

const sized = ({ shapes, settings }: Twin): reference.Attending => {
  const [N, T, E] = shapes.q as [number, number, number];
  return { N, T, S: shapes.k![1]!, E, heads: settings.heads, causal: settings.causal };
};

/** Within this of the twin, where operands are small: scores go through an exponential. */
function bounded({ v, precision, shapes }: Twin, values: number[], power: number): Expected {
  const all = Object.values(v).flatMap((list) => Array.from(list));
  const most = all.reduce((m, x) => Math.max(m, Math.abs(x)), 1);
  const size = 1 + shapes.q![2]!;
  const by = 100 * precision.epsilon * most ** power * size ** 2 * (1 + shapes.q![1]!);
  const isTame = all.every((x) => Math.abs(x) < 30);
  return {
    ...{ values, loose: true },
    bound: values.map(() => (isTame ? by : NaN)),
    scale: values.map(() => (isTame ? 0 : Infinity)),
  };
}

/** Attention, forward and backward. */
export const attentionOperations: Operation[] = [
  {
    name: "attentionForward",
    ...{ operands, fits, settings, wrong },
    destinations: ({ q }) => ({ out: q! }),
    run: ({ t, to, settings }) => ({
      out: attentionForward(t.q as Any, t.k as Any, t.v as Any, settings, to).out,
    }),
    twin(given) {
      const { q, k, v } = given.v;
      return { out: bounded(given, reference.attentionForward(q!, k!, v!, sized(given)), 3) };
    },
  },
  {
    name: "attentionBackward",
    operands(draw) {
      const shapes = operands(draw);
      return { ...shapes, dout: shapes.q! };
    },
    saved: ["q", "k", "v"],
    ...{ fits, settings },
    destinations: ({ q, k, v }) => ({ dq: q!, dk: k!, dv: v! }),
    optional: ["dq", "dk", "dv"],
    prepare: (t, settings) => ({
      cache: attentionForward(t.q as Any, t.k as Any, t.v as Any, settings).cache,
    }),
    run: ({ t, to, cache }) => attentionBackward(t.dout as Any, cache as Any, to) as Results,
    twin(given) {
      const { dout, q, k, v } = given.v;
      const result = reference.attentionBackward(dout!, q!, k!, v!, sized(given));
      return {
        dq: bounded(given, result.dq, 5),
        dk: bounded(given, result.dk, 5),
        dv: bounded(given, result.dv, 3),
      };
    },
  },
];
