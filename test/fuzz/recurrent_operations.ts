// The rows of recurrent layers in the table of operations.ts.

import * as lamella from "../../src/index.ts";
import * as reference from "../support/reference.ts";
import type { Draw, Shape } from "./draw.ts";
import type { Expected, Operation, Results, Settings, Shapes, Twin } from "./operations.ts";

// biome-ignore lint/suspicious/noExplicitAny: calls by their names
type Any = any;

const same = (a: Shape, b: Shape) => a.length === b.length && a.every((n, i) => n === b[i]);
const most = (...lists: (ArrayLike<number> | undefined)[]) =>
  lists.reduce(
    (m, list) => Array.from(list ?? []).reduce((a, b) => Math.max(a, Math.abs(b)), m),
    0,
  );

function recurrent(name: "rnn" | "lstm" | "gru", G: number): Operation[] {
  const forward = (lamella as Any)[`${name}Forward`];
  const backward = (lamella as Any)[`${name}Backward`];
  const names = [
    ...["x", "h0", ...(name === "lstm" ? ["c0"] : []), "wx", "wh", "b"],
    ...(name === "gru" ? ["bh"] : []),
  ];
  const states = name === "lstm" ? ["dh", "dc"] : ["dh"];
  function operands(draw: Draw): Shapes {
    const [N, T, D, H] = [draw.int(0, 5), draw.int(0, 3), draw.dim(), draw.int(0, 9)];
    const shapes: Record<string, Shape> = {
      ...{ x: [N, T, D], h0: [N, H], c0: [N, H], wx: [D, G * H], wh: [H, G * H] },
      ...{ b: [G * H], bh: [G * H] },
    };
    return Object.fromEntries(names.map((name) => [name, shapes[name]!]));
  }
  function shapesFit({ x, h0, c0, wx, wh, b, bh }: Shapes): boolean {
    if (x!.length !== 3 || h0!.length !== 2) return false;
    const [N, , D] = x as [number, number, number];
    const H = h0![1]!;
    return (
      same(h0!, [N, H]) &&
      (!c0 || same(c0, [N, H])) &&
      same(wx!, [D, G * H]) &&
      same(wh!, [H, G * H]) &&
      same(b!, [G * H]) &&
      (!bh || same(bh, [G * H]))
    );
  }
  function settings(draw: Draw, { x }: Shapes): Settings {
    const [N, T] = x as [number, number];
    const lengths = draw.chance(0.5) ? Array.from({ length: N }, () => draw.int(0, T)) : undefined;
    return {
      ...{ lengths: lengths && draw.chance(0.5) ? Int32Array.from(lengths) : lengths },
      ...(name === "gru" && { resetAfter: draw.pick([undefined, true, false]) }),
    };
  }
  const wrong: NonNullable<Operation["wrong"]> = [
    ...[3, "1", {}, null].map((lengths) => [{ lengths }, "TypeError"] as const),
    [{ lengths: Float32Array.of(1) }, "DTypeError"],
    [{ lengths: new Array(99).fill(0) }, "ShapeError"],
    ...(name === "gru"
      ? [0, "true", null].map((resetAfter) => [{ resetAfter }, "RangeError"] as const)
      : []),
  ];
  const operandsOf = (t: Any) => names.map((name) => t[name]);
  const twins = {
    rnn: [reference.rnnForward, reference.rnnBackward],
    lstm: [reference.lstmForward, reference.lstmBackward],
    gru: [reference.gruForward, reference.gruBackward],
  }[name] as [typeof reference.lstmForward, typeof reference.lstmBackward];
  function sized({ v, shapes }: Twin) {
    const [N, T, D] = shapes.x as [number, number, number];
    return { size: { N, T, D, H: shapes.h0![1]! }, operands: v as Any };
  }
  /**
   * What a rounding may become: each step takes the error of the one before it through wh, whose
   * functions have derivatives of at most 1, and beside numbers that are not small nothing is held.
   */
  function growth(given: Twin): number {
    const { v } = given;
    const { size } = sized(given);
    const largest = most(...Object.values(v));
    if (!(largest <= 8)) return NaN;
    const step = 1 + 2 * G * size.H * (1 + most(v.wh)) * (1 + size.T + largest);
    return step ** (size.T + 1) * (1 + size.D) * (1 + largest) ** 2;
  }
  const bounded = (given: Twin, values: number[], by: number): Expected => {
    const { epsilon, tiny } = given.precision;
    const isWild = Number.isNaN(by);
    return {
      values,
      loose: true,
      bound: values.map(() => (isWild ? NaN : 16 * by * (epsilon + tiny))),
      scale: values.map(() => (isWild ? Infinity : 0)),
    };
  };
  const gradients = names.map((name) => `d${name}`);
  const call = (t: Any, settings: Settings, to?: object) =>
    forward(...operandsOf(t), { ...to, ...settings });
  return [
    {
      name: `${name}Forward`,
      operands,
      fits(shapes, { lengths }) {
        if (!shapesFit(shapes)) return "ShapeError";
        const [N, T] = shapes.x as [number, number];
        if (lengths && lengths.length !== N) return "ShapeError";
        return !lengths || Array.from(lengths as number[]).every((n) => n <= T) || "RangeError";
      },
      settings,
      wrong,
      destinations: ({ x, h0 }) => ({ out: [x![0] ?? 0, x![1] ?? 0, h0![1] ?? 0] }),
      run({ t, to, settings }) {
        const { out, h, c } = call(t, settings, to);
        return { out, h, ...(c && { c }) };
      },
      twin(given) {
        const { size, operands } = sized(given);
        const result = twins[0](size, operands, given.settings);
        const by = growth(given);
        return {
          ...{ out: bounded(given, result.out, by), h: bounded(given, result.h, by) },
          ...(name === "lstm" && { c: bounded(given, result.c, by) }),
        };
      },
    },
    {
      name: `${name}Backward`,
      operands(draw) {
        const shapes = operands(draw);
        const [N, T] = shapes.x as [number, number];
        const H = shapes.h0![1]!;
        const last = Object.fromEntries(states.map((name) => [name, [N, H]]));
        return { ...shapes, dout: [N, T, H], ...last };
      },
      saved: names,
      fits({ x, h0, dout, ...others }) {
        if (!same(dout!, [x![0]!, x![1]!, h0![1]!])) return "ShapeError";
        return states.every((name) => same(others[name]!, h0!)) || "ShapeError";
      },
      settings,
      destinations: (shapes) =>
        Object.fromEntries(names.map((name) => [`d${name}`, shapes[name]!])),
      optional: gradients,
      mayShare: (_, operand) => operand === "b" || operand === "bh",
      prepare: (t, settings) => ({ cache: call(t, settings).cache }),
      run: ({ t, to, cache }) =>
        backward(t.dout, cache, {
          ...to,
          // They may be left out, and null may not stand for them.
          ...Object.fromEntries(states.map((name) => [name, t[name] ?? null])),
        }) as Results,
      twin(given) {
        const { size, operands } = sized(given);
        const { v } = given;
        const more = { ...given.settings, dh: v.dh, dc: v.dc };
        const result = twins[1](size, operands, v.dout!, more) as Record<string, number[]>;
        const by = growth(given) ** 2 * (1 + size.N);
        return Object.fromEntries(
          gradients.map((name) => [name, bounded(given, result[name]!, by)]),
        );
      },
    },
  ];
}

/** rnn, lstm and gru, forward and backward. */
export const recurrentOperations: Operation[] = [
  ...recurrent("rnn", 1),
  ...recurrent("lstm", 4),
  ...recurrent("gru", 3),
];
