import { readFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  affineForward,
  createRuntime,
  createRuntimeSync,
  type Runtime,
  type RuntimeOptions,
  type WasmSource,
} from "../../src/index.ts";
import { readFileUrl } from "../../src/runtime/hosts/node.ts";
import type { LamellaRuntime } from "../../src/tensor/runtime.ts";

const file = new URL("../../build/core.wasm", import.meta.url);
const bytes = new Uint8Array(readFileSync(file));
const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
/** A core of a future that this host does not know: a section with an unheard-of number. */
const future = new Uint8Array(Buffer.concat([bytes, Buffer.of(200, 1, 0)]));
/** WebAssembly, but no core: a module with nothing in it. */
const empty = Uint8Array.from(header);
const text = new TextEncoder().encode("<!doctype html><title>Not found</title>");

function response(body: BufferSource | string, type: string, status = 200): Response {
  return new Response(body as Uint8Array<ArrayBuffer>, {
    status,
    headers: { "content-type": type },
  });
}

/** 1 · 2 + 3 · 4 + 5 in the runtime's core. */
function works(runtime: Runtime): void {
  const [x, w, b] = [runtime.tensor([[1, 3]]), runtime.tensor([[2], [4]]), runtime.tensor([5])];
  expect(affineForward(x, w, b).out.item()).toBe(19);
}

/** What its core was made of. */
const moduleOf = (runtime: Runtime) => (runtime as LamellaRuntime).core.instance.module;

/** What both ways to make a runtime throw, asynchronous and synchronous. */
async function errorsOf(options: unknown): Promise<Error[]> {
  const given = options as RuntimeOptions;
  const asynchronous = await createRuntime(given).then(
    () => undefined,
    (error: Error) => error,
  );
  let synchronous: Error | undefined;
  try {
    createRuntimeSync(given);
  } catch (error) {
    synchronous = error as Error;
  }
  if (!asynchronous || !synchronous) throw new Error("no error was thrown");
  return [asynchronous, synchronous];
}

describe("the core comes from", () => {
  test("the build that is inlined, where nothing is said", async () => {
    works(await createRuntime());
    works(await createRuntime({ wasm: undefined }));
    works(createRuntimeSync());
  });

  test("the build that is inlined, compiled once in a process", async () => {
    expect(moduleOf(await createRuntime())).toBe(moduleOf(createRuntimeSync()));
  });

  test("a WebAssembly.Module, which several runtimes may share", async () => {
    const module = new WebAssembly.Module(bytes);
    const [a, b] = [await createRuntime({ wasm: module }), createRuntimeSync({ wasm: module })];
    const x = a.ones([1000]);
    works(b);
    works(a);
    expect(x.data.every((value) => value === 1)).toBe(true);
  });

  const within = new Uint8Array(bytes.length + 3);
  within.set(bytes, 2);
  const ofNode: [string, WasmSource][] = [
    ["a Uint8Array", bytes],
    ["a part of a larger Uint8Array", within.subarray(2, 2 + bytes.length)],
    ["an ArrayBuffer", bytes.slice().buffer],
    ["a Node Buffer", readFileSync(file)],
    ["a DataView", new DataView(bytes.buffer)],
    ["an ArrayBuffer of another realm", runInNewContext("Uint8Array.from(b).buffer", { b: bytes })],
  ];

  test.each(ofNode)("%s", async (_, wasm) => {
    works(await createRuntime({ wasm }));
    works(createRuntimeSync({ wasm }));
  });

  test("a Response, whatever its content type, even none", async () => {
    works(await createRuntime({ wasm: response(bytes, "application/wasm") }));
    works(await createRuntime({ wasm: response(bytes, "application/octet-stream") }));
    works(await createRuntime({ wasm: new Response(bytes) }));
  });

  test("a file: URL, as a URL or as a string", async () => {
    works(await createRuntime({ wasm: file }));
    works(await createRuntime({ wasm: file.href }));
  });

  test.each([undefined, {}])("a file: URL by fetch, where process is %o", (process) => {
    vi.stubGlobal("process", process);
    const read = readFileUrl(file);
    vi.unstubAllGlobals();
    expect(read).toBeNull();
  });

  test("a data: URL", async () => {
    const base64 = Buffer.from(bytes).toString("base64");
    works(await createRuntime({ wasm: `data:application/wasm;base64,${base64}` }));
  });

  test("the first of several that this host takes", async () => {
    expect(WebAssembly.validate(future)).toBe(false);
    works(await createRuntime({ wasm: [future, bytes] }));
    works(createRuntimeSync({ wasm: [future, bytes] }));
    works(await createRuntime({ wasm: [response(future, "application/wasm"), file, future] }));
    const module = new WebAssembly.Module(bytes);
    works(createRuntimeSync({ wasm: [module, future] }));
  });

  test("no later one than that: the others are not even fetched", async () => {
    const unreachable = "http://127.0.0.1:9/core.wasm";
    works(await createRuntime({ wasm: [future, bytes, unreachable] }));
  });
});

describe("over HTTP", () => {
  let server: Server;
  let origin: string;
  const answer: RequestListener = (request, reply) => {
    if (request.url === "/core.wasm") {
      reply.writeHead(200, { "content-type": "application/wasm" }).end(bytes);
    } else if (request.url === "/moved.wasm") {
      reply.writeHead(302, { location: "/core.wasm" }).end();
    } else if (request.url === "/app") {
      reply.writeHead(200, { "content-type": "text/html" }).end(text);
    } else {
      reply.writeHead(404, { "content-type": "text/html" }).end(text);
    }
  };

  beforeAll(async () => {
    server = createServer(answer);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  test("the core comes from a URL, from a string, after a redirection", async () => {
    works(await createRuntime({ wasm: new URL(`${origin}/core.wasm`) }));
    works(await createRuntime({ wasm: `${origin}/core.wasm` }));
    works(await createRuntime({ wasm: `${origin}/moved.wasm` }));
    works(await createRuntime({ wasm: await fetch(`${origin}/core.wasm`) }));
  });

  test("a page in place of the core is a TypeError with its type and where it came from", async () => {
    for (const wasm of [`${origin}/app`, await fetch(`${origin}/app`)]) {
      const error = await createRuntime({ wasm }).catch((error) => error);
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toContain("createRuntime: wasm: expected WebAssembly, got text/html");
      expect(error.message).toContain(`from ${origin}/app`);
    }
  });

  test("a file that is not there is a TypeError with the status", async () => {
    const error = await createRuntime({ wasm: `${origin}/none` }).catch((error) => error);
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toBe(
      `createRuntime: wasm: expected WebAssembly, got status 404 from ${origin}/none`,
    );
  });
});

describe("refused is", () => {
  test("a Response with a page, or with an error's status, as a TypeError that says so", async () => {
    for (const [wasm, message] of [
      [response(text, "text/html"), "expected WebAssembly, got text/html"],
      [new Response(text), "expected WebAssembly, got something without a content type"],
      [response(bytes, "application/wasm", 404), "expected WebAssembly, got status 404"],
      [response("", "text/plain", 500), "expected WebAssembly, got status 500"],
      [response(text, "not-application/wasm"), "expected WebAssembly, got not-application/wasm"],
    ] as const) {
      const error = await createRuntime({ wasm }).catch((error) => error);
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toBe(`createRuntime: wasm: ${message}`);
    }
  });

  test("a Response whose type is WebAssembly's and whose bytes are not, without saying that it expected what it got", async () => {
    const wasm = response(text, "application/wasm");
    const error = await createRuntime({ wasm }).catch((error) => error);
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).not.toBe(
      "createRuntime: wasm: expected WebAssembly, got application/wasm",
    );
  });

  test("what does not begin as WebAssembly, as a TypeError with its length", async () => {
    const almost = [0, 1, 2, 3].map((i) => bytes.with(i, 0x62));
    for (const wasm of [text, new ArrayBuffer(0), Uint8Array.of(0, 0x61, 0x73), ...almost]) {
      for (const error of await errorsOf({ wasm })) {
        expect(error).toBeInstanceOf(TypeError);
        expect(error.message).toContain(
          `expected WebAssembly, got ${wasm.byteLength} bytes that do not begin as it does`,
        );
      }
    }
  });

  test("bytes at random", async () => {
    let state = 1;
    const random = Uint8Array.from({ length: 1000 }, () => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return state >>> 24;
    });
    for (const error of await errorsOf({ wasm: random })) expect(error).toBeInstanceOf(TypeError);
    for (const error of await errorsOf({ wasm: Uint8Array.of(...header, ...random) })) {
      expect(error).toBeInstanceOf(WebAssembly.CompileError);
      expect(error.message).toContain("this host takes none of the given builds");
    }
  });

  test("a list of which this host takes none, as a CompileError", async () => {
    for (const wasm of [future, [future], [future, future.slice().buffer]]) {
      for (const error of await errorsOf({ wasm })) {
        expect(error).toBeInstanceOf(WebAssembly.CompileError);
        expect(error.message).toContain("this host takes none of the given builds");
      }
    }
  });

  test("an empty list, which is not the host's fault", async () => {
    for (const error of await errorsOf({ wasm: [] })) {
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toMatch(/wasm: the list of sources is empty$/);
    }
  });

  test("WebAssembly that is no core of this package, as bytes and as a module", async () => {
    for (const wasm of [empty, new WebAssembly.Module(empty), [future, empty, bytes]]) {
      for (const error of await errorsOf({ wasm })) {
        expect(error).toBeInstanceOf(TypeError);
        expect(error.message).toContain("not a core of this package (lamella/core.wasm)");
      }
    }
  });

  // A page that a browser's HTTP cache keeps may hold a core that is older than the script.
  test("a core that lacks a kernel, as one of another version does", async () => {
    // One letter in the name of an export: "relu_forward_f32" becomes "xelu_forward_f32".
    const at = Buffer.from(bytes).indexOf("\x10relu_forward_f32");
    const other = bytes.with(at + 1, "x".charCodeAt(0));
    expect(WebAssembly.validate(other)).toBe(true);
    for (const error of await errorsOf({ wasm: other })) {
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toMatch(/not a core of this package .*: it lacks relu_forward_f32$/);
    }
  });

  test.each([
    ["enw", "memory"],
    ["env", "memorz"],
  ])("a core that wants something else than its memory: %s.%s", async (from, name) => {
    const at = Buffer.from(bytes).indexOf("\x03env\x06memory");
    const other = bytes.slice();
    other.set(new TextEncoder().encode(`\x03${from}\x06${name}`), at);
    expect(WebAssembly.Module.imports(new WebAssembly.Module(other))).toEqual([
      { module: from, name, kind: "memory" },
    ]);
    for (const error of await errorsOf({ wasm: other })) {
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toMatch(
        new RegExp(`not a core of this package .*: it imports ${name}$`),
      );
    }
  });

  test.each([
    ["null", null],
    ["5", 5],
    ["true", true],
    ["Object", {}],
    ["Date", new Date()],
    ["null", [null]],
    ["NoArrayBuffer", { [Symbol.toStringTag]: "NoArrayBuffer" }],
    ["ArrayBufferView", { [Symbol.toStringTag]: "ArrayBufferView" }],
  ])("what is no source: %s", async (given, wasm) => {
    for (const error of await errorsOf({ wasm })) {
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toMatch(
        /^createRuntime(Sync)?: wasm: expected a WebAssembly\.Module.* bytes.*, got /,
      );
      expect(error.message).toContain(`got ${given}`);
    }
  });

  test("by createRuntimeSync: what has to be waited for, by the name of what serves", () => {
    const waiting = [new Response(bytes), file, file.href, [future, file]] as WasmSource[];
    for (const wasm of waiting) {
      const create = () => createRuntimeSync({ wasm });
      expect(create).toThrow(TypeError);
      expect(create).toThrow(
        /^createRuntimeSync: wasm: expected a WebAssembly\.Module or bytes, got (Response|URL|file:.*); await createRuntime for the others$/,
      );
    }
  });

  test.each(["./core.wasm", "file:///none/core.wasm", "http://127.0.0.1:9/core.wasm"])(
    "an address that leads nowhere, by the option's name: %s",
    async (wasm) => {
      const error = await createRuntime({ wasm }).catch((error) => error);
      expect(error).toBeInstanceOf(Error);
      expect(error.message).toMatch(/^createRuntime: wasm: /);
      expect(error.message).toContain(wasm.replace("file://", ""));
      expect(error.cause).toBeInstanceOf(Error);
    },
  );
});

describe("threads", () => {
  test('1 and "auto" give one thread and the strict build', async () => {
    for (const threads of [1, "auto", undefined] as const) {
      const runtime = await createRuntime({ threads });
      expect(runtime.threads).toBe(1);
      expect(runtime.variant).toBe("strict");
    }
  });

  test.each([2, 4, 64])("%d are a RangeError: the default core has no shared memory", async (n) => {
    const [error, sync] = await errorsOf({ threads: n });
    expect(error).toBeInstanceOf(RangeError);
    expect(error!.message).toMatch(
      new RegExp(`^createRuntime: threads: ${n} needs a core with shared memory`),
    );
    expect(sync).toBeInstanceOf(RangeError);
    expect(sync!.message).toMatch(/^createRuntimeSync: threads: /);
  });

  test.each([0, -1, 1.5, 65, 1e9, NaN, Infinity, "many", "1", null, {}])(
    "%o are a RangeError",
    async (threads) => {
      for (const error of await errorsOf({ threads })) {
        expect(error).toBeInstanceOf(RangeError);
        expect(error.message).toMatch(
          /^createRuntime(Sync)?: threads must be a whole number from 1 to 64 or "auto", got /,
        );
      }
    },
  );
});

describe("seed", () => {
  test.each([-1, 2 ** 32, 0.5, NaN, Infinity, "3", null, {}, 3n])(
    "%o is a RangeError that names the call, the option and what was given",
    async (seed) => {
      const [error, sync] = await errorsOf({ seed });
      for (const each of [error, sync]) {
        expect(each).toBeInstanceOf(RangeError);
        expect(each!.message).toMatch(/seed must be a whole number in \[0, 4294967296\), got /);
        expect(each!.message).toContain(seed && typeof seed === "object" ? "Object" : String(seed));
      }
      expect(error!.message).toMatch(/^createRuntime: /);
    },
  );

  test("may be any whole number in [0, 2³²)", () => {
    for (const seed of [0, 1, 2 ** 31, 2 ** 32 - 1, undefined]) works(createRuntimeSync({ seed }));
  });
});

test("createRuntimeSync's errors name createRuntimeSync, whichever option is wrong", async () => {
  for (const options of [
    { seed: -1 },
    { initialMemory: 1 },
    { maxMemory: 1 },
    { wasm: text },
    { wasm: empty },
    { wasm: future },
    { threads: 0 },
  ]) {
    const [error, sync] = await errorsOf(options);
    expect.soft(error!.message).toMatch(/^createRuntime: /);
    expect.soft(sync!.message).toMatch(/^createRuntimeSync: /);
  }
});

test("options that cannot be right are refused before anything is fetched", async () => {
  for (const options of [{ seed: -1 }, { initialMemory: 1 }, { maxMemory: 1 }, { threads: 0 }]) {
    const wasm = response(bytes, "application/wasm");
    await expect(createRuntime({ wasm, ...options })).rejects.toBeInstanceOf(RangeError);
    expect.soft(wasm.bodyUsed, JSON.stringify(options)).toBe(false);
  }
});
