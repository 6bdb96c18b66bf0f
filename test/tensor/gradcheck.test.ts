import { describe, expect, test } from "vitest";
import {
  affineForward,
  type BatchnormParam,
  batchnormForward,
  createRuntimeSync,
  DisposedError,
  DTypeError,
  MemoryError,
  numericalGradient,
  RuntimeMismatchError,
  relativeError,
  reluForward,
  ShapeError,
  softmaxLoss,
  type Tensor,
} from "../../src/index.ts";

const runtime = createRuntimeSync();
const f64 = (data: number[], shape?: number[]) => runtime.tensor(data, shape, "float64");

describe("numericalGradient", () => {
  test("of a function that gives a number is its slope, element by element", () => {
    const x = f64([1, -2, 3, 0.5], [2, 2]);
    const gradient = numericalGradient((x) => {
      const [a, b, c, d] = x.data;
      return a! * a! + 3 * b! - b! * c! + d!;
    }, x);
    expect([gradient.shape, gradient.dtype]).toEqual([[2, 2], "float64"]);
    // Second-order differences of a square are exact but for rounding: 1e-16 / 1e-5.
    expect(relativeError(gradient, f64([2, 0, 2, 1], [2, 2]))).toBeLessThan(1e-9);
  });

  test("of a function that gives a tensor is weighted by dout, and by ones without it", () => {
    const x = f64([1, 2, 3]);
    const square = (x: Tensor<"float64">) => f64(Array.from(x.data, (value) => value * value));
    const plain = numericalGradient(square, x);
    expect(relativeError(plain, [2, 4, 6])).toBeLessThan(1e-9);
    const weighted = numericalGradient(square, x, f64([10, 0, -1]));
    expect(relativeError(weighted, [20, 0, -6])).toBeLessThan(1e-9);
    // Two results of each element: their slopes add up.
    const twice = (x: Tensor<"float64">) => f64([...x.data, ...x.data]);
    const both = numericalGradient(twice, x, f64([1, 2, 3, 10, 20, 30]));
    expect(relativeError(both, [11, 22, 33])).toBeLessThan(1e-9);
  });

  test("of the layers is what mathematics says", () => {
    const own = runtime.random(3);
    const [x, w, b] = [own.randn(3, 4), own.randn(4, 2), own.randn(2)];
    const db = numericalGradient((b) => affineForward(x, w, b).out, b);
    expect(relativeError(db, [3, 3])).toBeLessThan(1e-9);
    const dx = numericalGradient((x) => softmaxLoss(x, [0, 0, 1], { dx: false }).loss, x);
    expect(relativeError(dx, softmaxLoss(x, [0, 0, 1]).dx)).toBeLessThan(1e-6);
  });

  test("takes any step above 0, and any shape, none and no elements too", () => {
    const x = f64([3], []);
    for (const h of [1e-3, 1e-5, 0.5]) {
      // Exact for a square, but for rounding by the step.
      const slope = numericalGradient((x) => x.item() ** 2, x, undefined, h).item();
      expect(relativeError(slope, 6)).toBeLessThan(1e-9);
    }
    let calls = 0;
    const none = numericalGradient(() => ++calls, f64([], [3, 0]));
    expect([none.shape, none.size, calls]).toEqual([[3, 0], 0, 0]);
  });

  test("works in float32 with a step that float32 can tell", () => {
    const x = runtime.tensor([1, 2]);
    const gradient = numericalGradient((x) => reluForward(x).out, x, undefined, 2 ** -10);
    expect(gradient.dtype).toBe("float32");
    expect(gradient.data).toEqual(Float32Array.of(1, 1));
  });

  test("calls f with x itself, moved by ±h, twice for each element", () => {
    const x = f64([1, 2]);
    const seen: number[][] = [];
    numericalGradient(
      (given) => {
        expect(given).toBe(x);
        seen.push(Array.from(x.data));
        return 0;
      },
      x,
      undefined,
      0.25,
    );
    expect(seen).toEqual([
      [1.25, 2],
      [0.75, 2],
      [1, 2.25],
      [1, 1.75],
    ]);
  });

  test("leaves x to the bit as it was, also where x + h − h is another number", () => {
    const data = [0.1, 1e-30, 1e30, -0, Infinity, 2 ** -1074, 0.3];
    const x = f64(data);
    numericalGradient(() => 1, x);
    expect(x.data).toEqual(Float64Array.from(data));
    expect(Object.is(x.data[3], -0)).toBe(true);
  });

  test("leaves x as it was when f throws, at whichever element, and frees what f made", () => {
    const x = f64([0.1, 0.2, 0.3]);
    const before = runtime.memory;
    for (let n = 1; n <= 6; n++) {
      let calls = 0;
      const error = new Error(`call ${n}`);
      const f = () => {
        runtime.ones([100]);
        if (++calls === n) throw error;
        return runtime.ones([2], "float64");
      };
      expect(() => numericalGradient(f, x)).toThrow(error);
      expect(calls).toBe(n);
      expect(x.data).toEqual(Float64Array.of(0.1, 0.2, 0.3));
      const { bytesLive, tensors } = runtime.memory;
      expect([bytesLive, tensors]).toEqual([before.bytesLive, before.tensors]);
    }
  });

  test("frees all that f made and returned, and keeps its gradient alone", () => {
    const x = f64([1, 2, 3]);
    const { tensors, bytesLive } = runtime.memory;
    const gradient = numericalGradient((x) => {
      reluForward(x);
      return reluForward(x).out;
    }, x);
    expect(runtime.memory).toMatchObject({ tensors: tensors + 1, bytesLive: bytesLive + 64 });
    gradient.dispose();
    runtime.scope(() => {
      numericalGradient((x) => x, x);
    });
    expect(runtime.memory).toMatchObject({ tensors, bytesLive });
  });

  test("leaves alone what f returns but did not make, x itself among it", () => {
    const [x, other] = [f64([1, 2]), f64([5, 5])];
    expect(
      relativeError(
        numericalGradient((x) => x, x),
        [1, 1],
      ),
    ).toBeLessThan(1e-9);
    expect(numericalGradient(() => other, x).data).toEqual(Float64Array.of(0, 0));
    expect(other.data).toEqual(Float64Array.of(5, 5));
  });

  test("bears f growing the memory and making running statistics", () => {
    const own = createRuntimeSync({ initialMemory: 65536 });
    const x = own.tensor([1, 2, 3, 5], [2, 2], "float64");
    const [gamma, beta] = [own.ones([2], "float64"), own.zeros([2], "float64")];
    const bnParam: BatchnormParam<"float64"> = { mode: "train" };
    let size = 1000;
    const gradient = numericalGradient((x) => {
      size *= 2;
      own.zeros([size]);
      return batchnormForward(x, gamma, beta, bnParam).out;
    }, x);
    expect(own.memory.bytesReserved).toBeGreaterThan(65536);
    expect(x.data).toEqual(Float64Array.of(1, 2, 3, 5));
    // The sum of normalised values does not depend on x.
    expect(gradient.data.every((value) => Math.abs(value) < 1e-6)).toBe(true);
    expect(bnParam.runningMean!.size).toBe(2);
  });

  test("that runs out of memory leaves x and the books as they were", () => {
    const own = createRuntimeSync({ initialMemory: 65536, maxMemory: 65536 });
    const x = own.full([5000], 2, "float64");
    const before = own.memory;
    expect(() => numericalGradient(() => 1, x)).toThrow(MemoryError);
    const y = own.full([2], 3, "float64");
    expect(() => numericalGradient((y) => own.zeros([5000], "float64").size + y.size, y)).toThrow(
      MemoryError,
    );
    expect(y.data).toEqual(Float64Array.of(3, 3));
    y.dispose();
    const { bytesLive, tensors } = own.memory;
    expect([bytesLive, tensors]).toEqual([before.bytesLive, before.tensors]);
  });

  test("follows NaN and infinities in what f gives", () => {
    const x = f64([1]);
    expect(numericalGradient(() => NaN, x).item()).toBeNaN();
    expect(numericalGradient((x) => (x.item() > 1 ? Infinity : 0), x).item()).toBe(Infinity);
  });

  describe("refuses", () => {
    const x = f64([1, 2]);
    const f = () => 1;
    const gone = f64([1]);
    gone.dispose();

    test.each<[string, unknown[], new (...args: never[]) => Error, RegExp]>([
      ["an f that is no function", [5, x], TypeError, /f must be a function/],
      ["no x", [f], TypeError, /x must be a tensor, got undefined/],
      ["an array as x", [f, [1, 2]], TypeError, /x must be a tensor, got Array/],
      ["an int32 x", [f, runtime.zeros([1], "int32")], DTypeError, /x must be float32 or float64/],
      ["a disposed x", [f, gone], DisposedError, /x has been disposed/],
      ["an array as dout", [f, x, [1]], TypeError, /dout must be a tensor, got Array/],
      ["null as dout", [f, x, null], TypeError, /dout must be a tensor, got null/],
      ["a disposed dout", [f, x, gone], DisposedError, /dout has been disposed/],
      [
        "a dout of another dtype",
        [f, x, runtime.ones([1])],
        DTypeError,
        /dout is float32 but x is float64/,
      ],
      [
        "a dout of another runtime",
        [f, x, createRuntimeSync().ones([1], "float64")],
        RuntimeMismatchError,
        /dout and x belong to different runtimes/,
      ],
      ["h of 0", [f, x, undefined, 0], RangeError, /h must be above 0, got 0/],
      ["a negative h", [f, x, undefined, -1e-5], RangeError, /h must be above 0, got -0.00001/],
      ["h of NaN", [f, x, undefined, NaN], RangeError, /h must be .*, got NaN/],
      ["an h that is no number", [f, x, undefined, "1"], RangeError, /h must be .*, got /],
      ["an infinite h", [f, x, undefined, Infinity], RangeError, /h must be .*, got Infinity/],
      ["an f that gives nothing", [() => {}, x], TypeError, /f must return a tensor or a number/],
      [
        "an f that gives a promise",
        [async () => 1, x],
        TypeError,
        /^numericalGradient: f must return/,
      ],
      [
        "an f that gives int32",
        [() => runtime.ones([1], "int32"), x],
        DTypeError,
        /f\(x\) must be float32/,
      ],
      [
        "an f that gives a disposed tensor",
        [() => gone, x],
        DisposedError,
        /f\(x\) has been disposed/,
      ],
      [
        "an f whose result has not dout's shape",
        [() => runtime.ones([2], "float64"), x, f64([1, 2, 3])],
        ShapeError,
        /f\(x\) must have shape \(3,\), got \(2,\)/,
      ],
      [
        "an f that gives a number where dout has a shape",
        [f, x, f64([1, 2, 3])],
        ShapeError,
        /f\(x\) must have shape \(3,\), got \(\)/,
      ],
    ])("%s", (_, given, error, message) => {
      const before = runtime.memory;
      const call = () => (numericalGradient as (...args: unknown[]) => unknown)(...given);
      expect(call).toThrow(error);
      expect(call).toThrow(message);
      expect(call).toThrow(/^numericalGradient: /);
      expect(x.data).toEqual(Float64Array.of(1, 2));
      const { bytesLive, tensors } = runtime.memory;
      expect([bytesLive, tensors]).toEqual([before.bytesLive, before.tensors]);
    });

    test("an f whose results have different shapes", () => {
      let calls = 0;
      const f = () => f64(Array(1 + (calls++ % 2)).fill(1));
      expect(() => numericalGradient(f, x)).toThrow(ShapeError);
    });
  });
});

describe("relativeError", () => {
  test("is the largest |a − b| / max(1e-8, |a| + |b|)", () => {
    expect(relativeError([1, 2, 3], [1, 2, 3])).toBe(0);
    expect(relativeError([1, 2], [1, 3])).toBe(1 / 5);
    expect(relativeError([2, 1], [3, 1.25])).toBe(1 / 5);
    expect(relativeError([1, -1], [1, 1])).toBe(1);
    expect(relativeError([0], [5])).toBe(1);
    expect(relativeError([1e-9], [0])).toBe(0.1);
    expect(relativeError([0, -0], [-0, 0])).toBe(0);
    expect(relativeError(3, 1)).toBe(0.5);
    expect(relativeError([], [])).toBe(0);
  });

  test("is the same both ways", () => {
    for (const [a, b] of [
      [1, 2],
      [-3, 5],
      [0, 1e-12],
    ] as const) {
      expect(relativeError(a, b)).toBe(relativeError(b, a));
    }
  });

  test("takes tensors of any dtype, arrays, typed arrays and numbers, one of each too", () => {
    const all = [[1, 2], Float32Array.of(1, 2), Float64Array.of(1, 2), Uint8Array.of(1, 2)];
    const tensors = [runtime.tensor([1, 2]), f64([1, 2]), runtime.tensor(Int32Array.of(1, 2))];
    for (const a of [...all, ...tensors]) {
      for (const b of [...all, ...tensors]) expect(relativeError(a, b)).toBe(0);
    }
    expect(relativeError(2, runtime.full([], 2))).toBe(0);
  });

  test("is NaN where an element is, wherever it is", () => {
    for (const [a, b] of [
      [[NaN], [1]],
      [[1], [NaN]],
      [[NaN], [NaN]],
      [
        [1, NaN, 2],
        [5, 1, 2],
      ],
      [
        [1, 2, NaN],
        [1, 2, 3],
      ],
      [[Infinity], [-Infinity]],
    ] as const) {
      expect(relativeError(a, b)).toBeNaN();
    }
  });

  test("of equal infinities is 0, as of all equal values", () => {
    expect(relativeError([Infinity, -Infinity, 1], [Infinity, -Infinity, 1])).toBe(0);
  });

  test.each<[unknown, unknown, string, string]>([
    [[1, 2], [1, 2, 3], "(2,)", "(3,)"],
    [[1], 1, "(1,)", "()"],
    [runtime.ones([2, 2]), runtime.ones([4]), "(2, 2)", "(4,)"],
    [runtime.ones([2, 2]), [1, 1, 1, 1], "(2, 2)", "(4,)"],
    [runtime.ones([2, 0]), runtime.ones([0, 2]), "(2, 0)", "(0, 2)"],
  ])("of different shapes is a ShapeError with both", (a, b, shapeA, shapeB) => {
    const call = () => relativeError(a as number[], b as number[]);
    expect(call).toThrow(ShapeError);
    expect(call).toThrow(`relativeError: a has shape ${shapeA} but b has ${shapeB}`);
  });

  test.each([
    [undefined, "undefined"],
    [null, "null"],
    ["1", "string"],
    [{}, "Object"],
    [true, "boolean"],
    [new DataView(new ArrayBuffer(8)), "DataView"],
    [[[1]], "an array of something else"],
  ])("of %o is a TypeError that names the argument, and what it is", (wrong, given) => {
    for (const [name, call] of [
      ["a", () => relativeError(wrong as number[], [1])],
      ["b", () => relativeError([1], wrong as number[])],
    ] as const) {
      expect(call).toThrow(TypeError);
      expect(call).toThrow(new RegExp(`^relativeError: ${name} must be .*, got ${given}$`));
    }
  });

  test("of an array with nothing in it is refused at the first of its holes", () => {
    expect(() => relativeError(new Array(2 ** 32 - 1), [1])).toThrow(
      "relativeError: a[0] must be a number, got undefined",
    );
  });

  test("of a disposed tensor is a DisposedError that names the call and the argument", () => {
    const gone = runtime.ones([1]);
    gone.dispose();
    expect(() => relativeError(gone, [1])).toThrow(DisposedError);
    expect(() => relativeError(gone, [1])).toThrow("relativeError: a has been disposed");
    expect(() => relativeError([1], gone)).toThrow("relativeError: b has been disposed");
  });
});
