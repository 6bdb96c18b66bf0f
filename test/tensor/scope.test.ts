import { describe, expect, test } from "vitest";
import {
  affineBackward,
  affineForward,
  type BatchnormParam,
  batchnormBackward,
  batchnormForward,
  createRuntimeSync,
  DisposedError,
  dropoutForward,
  MemoryError,
  numericalGradient,
  type Runtime,
  recalibrate,
  reluBackward,
  reluForward,
  type Tensor,
} from "../../src/index.ts";

function isLive(tensor: Tensor): boolean {
  try {
    return tensor.data.length === tensor.size;
  } catch (error) {
    expect(error).toBeInstanceOf(DisposedError);
    return false;
  }
}

/** Handles and bytes in use. */
function held({ memory }: Runtime): { tensors: number; bytesLive: number } {
  const { tensors, bytesLive } = memory;
  return { tensors, bytesLive };
}

describe("a scope", () => {
  test("disposes what was made inside, tensors, aliases and caches, and nothing else", () => {
    const runtime = createRuntimeSync();
    const outer = runtime.tensor([1, -2]);
    const before = held(runtime);
    const made: Tensor[] = [];
    runtime.scope(() => {
      const { out, cache } = reluForward(outer);
      made.push(runtime.ones([3]), outer.reshape([2, 1]), out, cache.x as Tensor);
      made.push(runtime.random(1).rand(4), reluBackward(out, cache));
      made.push(dropoutForward(outer, { p: 0.5, mode: "test" }).out);
      for (const tensor of made) expect(isLive(tensor)).toBe(true);
    });
    expect(made.map(isLive)).toEqual(made.map(() => false));
    expect(outer.data).toEqual(Float32Array.of(1, -2));
    expect(held(runtime)).toEqual(before);
  });

  test("gives back what its function returns, whatever it is", () => {
    const runtime = createRuntimeSync();
    const plain = { a: 1 };
    const list = new Float32Array(3);
    const unlike = [undefined, null, 0, "", "text", false, 5n, Symbol.iterator, plain, list];
    for (const value of [...unlike, new Date(0), () => 1, new WeakMap(), /x/]) {
      expect(runtime.scope(() => value)).toBe(value);
    }
  });

  test("leaves alone what was disposed inside by hand", () => {
    const runtime = createRuntimeSync();
    runtime.scope(() => {
      const x = runtime.ones([4]);
      const { cache } = reluForward(x);
      x.dispose();
      cache.dispose();
      return x;
    });
    expect(held(runtime)).toEqual({ tensors: 0, bytesLive: 0 });
  });

  test("does not touch what was made before it, even where that is disposed within", () => {
    const runtime = createRuntimeSync();
    const [x, y] = [runtime.ones([4]), runtime.ones([4])];
    runtime.scope(() => x.dispose());
    expect([isLive(x), isLive(y)]).toEqual([false, true]);
  });

  test("that makes 100 000 tensors needs no more memory than one of them", () => {
    const runtime = createRuntimeSync();
    const { bytesReserved } = runtime.memory;
    for (let i = 0; i < 1000; i++) {
      runtime.scope(() => {
        for (let k = 0; k < 100; k++) runtime.zeros([10]);
      });
    }
    expect(runtime.memory.bytesReserved).toBe(bytesReserved);
    expect(held(runtime)).toEqual({ tensors: 0, bytesLive: 0 });
  });
});

describe("the result of a scope keeps", () => {
  const places: [string, (tensor: Tensor, other: Tensor) => unknown][] = [
    ["a tensor itself", (tensor) => tensor],
    ["one in an array", (tensor) => [1, tensor, null]],
    ["one in a plain object", (tensor) => ({ a: { b: tensor }, c: "d" })],
    [
      "one in an object without a prototype",
      (tensor) => Object.assign(Object.create(null), { tensor }),
    ],
    ["one in a Map, as a value", (tensor) => new Map([["a", tensor]])],
    ["one in a Map, as a key", (tensor) => new Map([[tensor, 1]])],
    ["one in a Set", (tensor) => new Set([tensor])],
    ["one deep in all of them", (tensor) => [{ a: new Map([[1, new Set([[{ tensor }]])]]) }]],
    ["one that is there twice", (tensor) => [tensor, { tensor }]],
    [
      "one in a structure that holds itself",
      (tensor) => {
        const list: unknown[] = [tensor];
        list.push(list, { list });
        return list;
      },
    ],
  ];

  test.each(places)("%s, and lets go of the rest", (_, place) => {
    const runtime = createRuntimeSync();
    let kept!: Tensor;
    let other!: Tensor;
    const result = runtime.scope(() => {
      kept = runtime.full([3], 5);
      other = runtime.ones([3]);
      return place(kept, other);
    });
    expect(result).toBeTypeOf("object");
    expect([isLive(kept), isLive(other)]).toEqual([true, false]);
    expect(kept.data).toEqual(Float32Array.of(5, 5, 5));
    expect(runtime.memory.tensors).toBe(1);
    kept.dispose();
    expect(held(runtime)).toEqual({ tensors: 0, bytesLive: 0 });
  });

  test("an alias, though the handle that it came from is disposed", () => {
    const runtime = createRuntimeSync();
    const alias = runtime.scope(() => runtime.tensor([1, 2, 3, 4]).reshape([2, 2]));
    expect(alias.data).toEqual(Float32Array.of(1, 2, 3, 4));
    expect(runtime.memory.tensors).toBe(1);
  });

  test("a cache with what it holds, fit for its backward", () => {
    const runtime = createRuntimeSync();
    const caches = runtime.scope(() => {
      const [x, w, b] = [runtime.ones([2, 3]), runtime.full([3, 2], 2), runtime.ones([2])];
      const norm = batchnormForward(x, runtime.ones([3]), runtime.ones([3]), {
        mode: "test",
        runningMean: runtime.zeros([3]),
        runningVar: runtime.ones([3]),
      });
      return { affine: affineForward(x, w, b).cache, more: [norm.cache] as const };
    });
    expect(runtime.memory.tensors).toBe(3 + 3); // x, w and b; x, gamma and the statistics
    expect(affineBackward(runtime.ones([2, 2]), caches.affine).dx.data[0]).toBe(4);
    expect(batchnormBackward(runtime.ones([2, 3]), caches.more[0]).dbeta.data[0]).toBe(2);
    caches.affine.dispose();
    caches.more[0].dispose();
  });

  test("what a cache holds by keeping the cache", () => {
    const runtime = createRuntimeSync();
    const x = runtime.ones([4]);
    let cache!: ReturnType<typeof dropoutForward>["cache"];
    const mask = runtime.scope(() => {
      ({ cache } = dropoutForward(x, { p: 0.5, mode: "train", seed: 1 }));
      return cache.mask!;
    });
    expect(isLive(mask)).toBe(true);
    cache.dispose();
    expect(isLive(mask)).toBe(false);
    expect(runtime.memory.tensors).toBe(1);
  });

  test("a cache one of whose tensors was disposed by hand", () => {
    const runtime = createRuntimeSync();
    const [x, w, b] = [runtime.ones([2, 3]), runtime.ones([3, 2]), runtime.ones([2])];
    const before = held(runtime);
    const cache = runtime.scope(() => {
      const { cache } = affineForward(x, w, b);
      cache.x.dispose();
      return cache;
    });
    expect([isLive(cache.x), isLive(cache.w)]).toEqual([false, true]);
    expect(() => affineBackward(runtime.ones([2, 2]), cache)).toThrow(DisposedError);
    cache.dispose();
    expect(runtime.memory.tensors).toBe(before.tensors + 1);
  });

  test("nothing in instances of classes, closures and typed arrays, which it does not search", () => {
    const runtime = createRuntimeSync();
    class Model {
      constructor(readonly w: Tensor) {}
    }
    const tensors: Tensor[] = [];
    const make = () => {
      tensors.push(runtime.ones([1]));
      return tensors.at(-1)!;
    };
    runtime.scope(() => new Model(make()));
    runtime.scope(() => {
      const x = make();
      return () => x;
    });
    expect(tensors.map(isLive)).toEqual([false, false]);
  });

  test("a tensor of an array with a million numbers", () => {
    const runtime = createRuntimeSync();
    const many: unknown[] = Array.from({ length: 1_000_000 }, (_, i) => i);
    runtime.scope(() => {
      many.push(runtime.ones([1]));
      runtime.ones([2]);
      return many;
    });
    expect(isLive(many.at(-1) as Tensor)).toBe(true);
    expect(runtime.memory.tensors).toBe(1);
  });

  test("a tensor at the end of a linked list", () => {
    const runtime = createRuntimeSync();
    const x = runtime.scope(() => {
      const tensor = runtime.ones([1]);
      let list: unknown = { tensor };
      for (let i = 0; i < 100_000; i++) list = { next: list };
      runtime.ones([2]);
      return { list, tensor };
    }).tensor;
    expect(isLive(x)).toBe(true);
    expect(runtime.memory.tensors).toBe(1);
  });
});

describe("nested scopes", () => {
  test("hand their results to the one around them, which disposes or hands them on", () => {
    const runtime = createRuntimeSync();
    let inner!: Tensor;
    let middle!: Tensor;
    const result = runtime.scope(() => {
      const kept = runtime.scope(() => {
        inner = runtime.scope(() => {
          runtime.ones([1]);
          return runtime.full([1], 3);
        });
        expect(isLive(inner)).toBe(true);
        middle = runtime.ones([1]);
        return { inner, middle };
      });
      expect(runtime.memory.tensors).toBe(2);
      return [kept.inner];
    });
    expect([isLive(inner), isLive(middle)]).toEqual([true, false]);
    expect(result[0]!.item()).toBe(3);
    expect(runtime.memory.tensors).toBe(1);
  });

  test("own only what was made in themselves", () => {
    const runtime = createRuntimeSync();
    runtime.scope(() => {
      const x = runtime.ones([1]);
      runtime.scope(() => {
        runtime.ones([1]);
        x.reshape([]);
      });
      const y = runtime.ones([1]);
      expect([isLive(x), isLive(y)]).toEqual([true, true]);
      expect(runtime.memory.tensors).toBe(2);
    });
    expect(runtime.memory.tensors).toBe(0);
  });

  test("return an outer tensor without taking it over", () => {
    const runtime = createRuntimeSync();
    const x = runtime.ones([1]);
    runtime.scope(() => {
      const y = runtime.ones([1]);
      expect(runtime.scope(() => [x, y])).toEqual([x, y]);
      expect([isLive(x), isLive(y)]).toEqual([true, true]);
    });
    expect(isLive(x)).toBe(true);
    expect(runtime.memory.tensors).toBe(1);
  });

  test("of another runtime leave this one's tensors alone", () => {
    const [a, b] = [createRuntimeSync(), createRuntimeSync()];
    let x!: Tensor;
    let y!: Tensor;
    a.scope(() => {
      x = b.ones([1]);
      b.scope(() => {
        y = a.ones([1]);
      });
      expect([isLive(x), isLive(y)]).toEqual([true, true]);
    });
    expect([isLive(x), isLive(y)]).toEqual([true, false]);
    b.scope(() => a.scope(() => [x, y]));
    expect(isLive(x)).toBe(true);
  });
});

describe("a function that throws", () => {
  test("has everything it made disposed, and its error comes out as it is", () => {
    const runtime = createRuntimeSync();
    const error = new Error("mine");
    const before = held(runtime);
    expect(() =>
      runtime.scope(() => {
        reluForward(runtime.ones([10]));
        runtime.scope(() => runtime.ones([5]));
        throw error;
      }),
    ).toThrow(error);
    expect(held(runtime)).toEqual(before);
  });

  test("leaves the outer scope in place, and tensors made outside all scopes free of it", () => {
    const runtime = createRuntimeSync();
    let inner!: Tensor;
    runtime.scope(() => {
      expect(() =>
        runtime.scope(() => {
          throw new Error();
        }),
      ).toThrow();
      inner = runtime.ones([1]);
      expect(isLive(inner)).toBe(true);
    });
    expect(isLive(inner)).toBe(false);
    expect(() =>
      runtime.scope(() => {
        throw new Error();
      }),
    ).toThrow();
    const outside = runtime.ones([1]);
    runtime.scope(() => {});
    expect(isLive(outside)).toBe(true);
  });

  test("because the memory ran out gives all of it back", () => {
    const runtime = createRuntimeSync({ initialMemory: 65536, maxMemory: 65536 * 4 });
    for (let i = 0; i < 3; i++) {
      expect(() =>
        runtime.scope(() => {
          for (;;) runtime.ones([1000]);
        }),
      ).toThrow(MemoryError);
      expect(held(runtime)).toEqual({ tensors: 0, bytesLive: 0 });
    }
  });

  test("from within its result's own getter gives back what it made", () => {
    const runtime = createRuntimeSync();
    const fn = () => {
      runtime.ones([10]);
      return {
        get value() {
          throw new Error("mine");
        },
      };
    };
    try {
      runtime.scope(fn);
    } catch (error) {
      expect((error as Error).message).toBe("mine");
    }
    expect(held(runtime)).toEqual({ tensors: 0, bytesLive: 0 });
  });
});

describe("a function that returns a promise", () => {
  test("is a TypeError, and everything it made is disposed", async () => {
    const runtime = createRuntimeSync();
    let x!: Tensor;
    const after: Promise<unknown>[] = [];
    const fn = () => {
      x = runtime.ones([1]);
      const promise = (async () => {
        await null;
        return isLive(x);
      })();
      after.push(promise);
      return promise;
    };
    expect(() => runtime.scope(fn)).toThrow(TypeError);
    expect(() => runtime.scope(fn)).toThrow(/^scope: fn returned a promise/);
    expect(isLive(x)).toBe(false);
    expect(held(runtime)).toEqual({ tensors: 0, bytesLive: 0 });
    expect(await Promise.all(after)).toEqual([false, false]);
    const outside = runtime.ones([1]);
    runtime.scope(() => {});
    expect(isLive(outside)).toBe(true);
  });

  test("is known by its `then`, so that other libraries' promises are refused too", () => {
    const runtime = createRuntimeSync();
    // biome-ignore lint/suspicious/noThenProperty: what is tried
    expect(() => runtime.scope(() => ({ then() {} }))).toThrow(TypeError);
  });
});

test("what is no function is a TypeError that names fn", () => {
  const runtime = createRuntimeSync();
  for (const fn of [undefined, null, 5, "fn", {}]) {
    const scope = () => runtime.scope(fn as unknown as () => void);
    expect(scope).toThrow(TypeError);
    expect(scope).toThrow(/^scope: fn must be a function/);
  }
});

describe("running statistics", () => {
  test("outlive the scopes in which they were made, and what was given stays with its owner", () => {
    const runtime = createRuntimeSync();
    const bnParam: BatchnormParam<"float32"> = { mode: "train" };
    const recalibrated: BatchnormParam<"float32"> = { mode: "test" };
    runtime.scope(() =>
      runtime.scope(() => {
        const x = runtime.tensor([[1], [3]]);
        batchnormForward(x, runtime.ones([1]), runtime.ones([1]), bnParam);
        recalibrate([x], recalibrated);
        recalibrated.runningMean!.dispose();
        recalibrated.runningMean = runtime.ones([1]);
      }),
    );
    expect(bnParam.runningMean!.item()).toBeCloseTo(0.2, 6); // 0.1 · 2
    expect(bnParam.runningVar!.item()).toBeCloseTo(0.1, 6);
    expect(recalibrated.runningVar!.item()).toBe(1);
    expect(isLive(recalibrated.runningMean!)).toBe(false);
    expect(runtime.memory.tensors).toBe(3);
  });
});

test("a call within a scope that fails leaves the scope as it was", () => {
  const runtime = createRuntimeSync();
  runtime.scope(() => {
    const x = runtime.ones([4], "float64");
    const before = held(runtime);
    expect(() =>
      numericalGradient(() => {
        runtime.ones([3]);
        throw new Error("mine");
      }, x),
    ).toThrow("mine");
    expect(held(runtime)).toEqual(before);
    expect(isLive(x)).toBe(true);
    runtime.ones([1]);
  });
  expect(held(runtime)).toEqual({ tensors: 0, bytesLive: 0 });
});
