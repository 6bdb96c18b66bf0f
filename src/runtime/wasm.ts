// A compiled module is made here of what a caller passes as `wasm`, or of the build that an entry
// has with it.

import type { Build } from "./build.ts";
import { cut, describe, textOf } from "./errors.ts";
import { readFileUrl } from "./hosts/node.ts";
import type { Pool } from "./pool.ts";

/**
 * Another build of the core, as an import gives it: `lamella/wasm/relaxed`, `/shared` or
 * `/relaxed-shared`. Where this host does not know its instructions, the strict build computes,
 * which is there anyway.
 */
export interface WasmVariant {
  readonly variant: "relaxed" | "shared" | "relaxed-shared";
}

/** The object that such an import gives; scripts/build/variants.js makes it. */
type Inlined = Pick<Build, "file" | "hex" | "module"> & { readonly Pool?: typeof Pool };

/**
 * A compiled module, the bytes of one, a response with them, where to fetch them, or a variant's
 * import.
 */
export type WasmSource = WasmVariant | WebAssembly.Module | BufferSource | Response | URL | string;

type Bytes = Uint8Array<ArrayBuffer>;

/** A module with one function, whose one instruction makes a vector of 0. */
const SIMD = new Uint8Array([
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0],
  ...[10, 9, 1, 7, 0, 0x41, 0, 0xfd, 0x0f, 0x1a, 0x0b],
]);

const NO_SIMD =
  "it lacks the SIMD instructions of WebAssembly: Chrome has them from 91 on, Firefox from 89, Safari from 16.4, and a processor needs SSE4.1";

/** Compiled once in a process. */
const modules = new WeakMap<Inlined, WebAssembly.Module>();
const pools = new WeakMap<WebAssembly.Module, typeof Pool | undefined>();

/** The class that starts workers for a module, where the module's import brought one along. */
export const poolOf = (module: WebAssembly.Module) => pools.get(module);

/** The sources of one call, whose name its errors carry. */
class Loader {
  /** What the host said of the last bytes that it did not take. */
  private refusal!: Error;

  constructor(
    private readonly operation: string,
    private readonly build: Build,
  ) {
    if (typeof WebAssembly !== "object") {
      throw new Error(
        `${operation}: this host has no WebAssembly, in which everything here is computed; Node must run without --jitless, a browser without a lockdown mode`,
      );
    }
  }

  /** The module of the build itself. */
  own(): WebAssembly.Module {
    const compiled = this.inlined(this.build);
    if (compiled) return compiled;
    const { file } = this.build;
    throw this.refused(
      `this host does not compile ${file}`,
      `where it takes modules alone, import ${file} and give it as the option wasm`,
    );
  }

  /**
   * The module of a build, compiled once in a process, or null where this host does not take it.
   */
  private inlined(build: Inlined): WebAssembly.Module | null {
    const known = modules.get(build);
    if (known) return known;
    const { hex, module, file } = build;
    let compiled: WebAssembly.Module | null;
    if (hex === undefined) {
      const ready = this.asReady(module);
      if (!ready) {
        throw this.error(
          `expected this host, or the bundler, to make a WebAssembly.Module of ${file}, got ${sourceOf(module)}; give one as the option wasm`,
        );
      }
      compiled = this.compile(ready);
    } else {
      compiled = this.ofBytes(decodeHex(hex));
    }
    if (compiled) {
      modules.set(build, compiled);
      pools.set(compiled, build.Pool);
    }
    return compiled;
  }

  /** The first source that this host compiles. */
  async first(sources: readonly unknown[]): Promise<WebAssembly.Module> {
    for (const source of sources) {
      const module = isVariant(source)
        ? this.inlined(source)
        : this.compile(this.asReady(source) ?? (await this.fetch(source)));
      if (module) return module;
    }
    return this.fallback(sources);
  }

  /** As first, at once. */
  firstSync(sources: readonly unknown[]): WebAssembly.Module {
    for (const source of sources) {
      const module = isVariant(source)
        ? this.inlined(source)
        : this.compile(this.asReady(source) ?? this.refuseToWait(source));
      if (module) return module;
    }
    return this.fallback(sources);
  }

  private refuseToWait(source: unknown): never {
    throw this.error(
      `expected a WebAssembly.Module or bytes, got ${sourceOf(source)}; await ${this.operation.replace("Sync", "")} for the others`,
    );
  }

  /** A module or bytes as they are, null for what has to be waited for. */
  private asReady(source: unknown): WebAssembly.Module | Bytes | null {
    if (describe(source) === "WebAssembly.Module") return source as WebAssembly.Module;
    try {
      if (ArrayBuffer.isView(source)) {
        return new Uint8Array(source.buffer as ArrayBuffer, source.byteOffset, source.byteLength);
      }
      return /^(Shared)?ArrayBuffer$/.test(describe(source))
        ? new Uint8Array(source as ArrayBuffer)
        : null;
    } catch {
      throw this.error("the buffer of bytes is gone: transferred, or made smaller");
    }
  }

  private async fetch(source: unknown): Promise<Bytes> {
    if (describe(source) === "Response") return this.read(source as Response);
    if (typeof source !== "string" && describe(source) !== "URL") {
      throw this.error(
        `expected a WebAssembly.Module, bytes, a Response or a URL, got ${sourceOf(source)}`,
      );
    }
    let response: Response;
    try {
      const base = (globalThis as { location?: { href?: string } }).location?.href;
      requireGlobal("URL");
      const url = new URL(source as string | URL, base);
      const file = url.protocol === "file:" ? readFileUrl(url) : null;
      if (file) return file;
      requireGlobal("fetch");
      response = await fetch(url);
    } catch (cause) {
      throw this.error(`cannot read ${cut(String(source), 200)}: ${(cause as Error).message}`, {
        cause,
      });
    }
    return this.read(response);
  }

  private async read(response: Response): Promise<Bytes> {
    const from = response.url ? ` from ${response.url}` : "";
    if (!response.ok) {
      throw this.error(`expected WebAssembly, got status ${response.status}${from}`);
    }
    const bytes = new Uint8Array(await response.arrayBuffer());
    const type = response.headers.get("content-type") ?? "something without a content type";
    if (!startsAsWasm(bytes) && !/^application\/wasm\b/.test(type)) {
      throw this.error(`expected WebAssembly, got ${type}${from}`);
    }
    return bytes;
  }

  /** The module of bytes that are WebAssembly, or null where this host does not take them. */
  private ofBytes(bytes: Bytes): WebAssembly.Module | null {
    try {
      return new WebAssembly.Module(bytes);
    } catch (cause) {
      this.refusal = cause as Error;
      return null;
    }
  }

  /**
   * A module that is a core of this package, or null for bytes that are WebAssembly which this host
   * does not take.
   */
  private compile(source: WebAssembly.Module | Bytes): WebAssembly.Module | null {
    let module = source as WebAssembly.Module;
    if (source instanceof Uint8Array) {
      if (!startsAsWasm(source)) {
        throw this.error(
          `expected WebAssembly, got ${source.byteLength} bytes that do not begin as it does`,
        );
      }
      const compiled = this.ofBytes(source);
      if (!compiled) return null;
      module = compiled;
    }
    const { file, hex } = this.build;
    const names = namesOf(module);
    // It has to have what the entry's own has; a host that compiles no bytes does not know that
    // one.
    const own = hex === undefined ? null : this.inlined(this.build);
    const faults = namesOf(own ?? module)
      .filter((name) => !names.includes(name))
      .map((name) => `lacks ${name}`);
    for (const { module: from, name } of WebAssembly.Module.imports(module)) {
      if (from !== "env" || name !== "memory") faults.push(`imports ${name}`);
    }
    if (faults.length > 0) {
      throw this.error(
        `the module is WebAssembly, but not a core of this package (${file}) in this version: it ${faults[0]}`,
      );
    }
    return module;
  }

  /** Variants stand before the strict build; bytes of the caller's own stand for themselves. */
  private fallback(sources: readonly unknown[]): WebAssembly.Module {
    if (sources.some(isVariant)) return this.own();
    if (sources.length === 0) throw this.error("the list of sources is empty");
    throw this.refused("wasm: this host takes none of the given builds");
  }

  /** What the host said of the last bytes, and what to do about it. */
  private refused(what: string, advice?: string): WebAssembly.CompileError {
    const hint = WebAssembly.validate(SIMD) ? advice : NO_SIMD;
    const message = `${this.operation}: ${what}: ${this.refusal.message}`;
    return new WebAssembly.CompileError(cut(hint ? `${message}; ${hint}` : message, 999));
  }

  private error(message: string, options?: ErrorOptions): TypeError {
    // What a host says may have a data URL in it, or the names in a module.
    return new TypeError(`${this.operation}: wasm: ${cut(message, 999)}`, options);
  }
}

/** Names what an AudioWorklet, say, does not have. */
function requireGlobal(name: "URL" | "fetch"): void {
  if (typeof globalThis[name] === "function") return;
  throw new Error(`this host has no ${name}; give the bytes`);
}

/** What was given as a source, or as a build. */
const sourceOf = (value: unknown) => (typeof value === "object" ? describe(value) : textOf(value));

const namesOf = (module: WebAssembly.Module) =>
  WebAssembly.Module.exports(module).map(({ name }) => name);

function startsAsWasm(bytes: Bytes): boolean {
  return bytes[0] === 0 && bytes[1] === 0x61 && bytes[2] === 0x73 && bytes[3] === 0x6d;
}

/**
 * Hex rather than base64: it costs a compressed bundle less, and decodes in a plain loop, which in
 * a fresh process takes 3 ms where a host's own decoder takes 0.1.
 */
function decodeHex(hex: string): Bytes {
  const { fromHex } = Uint8Array as { fromHex?: (hex: string) => Bytes };
  if (fromHex) return fromHex.call(Uint8Array, hex);
  const { Buffer } = globalThis as { Buffer?: { from(hex: string, encoding: "hex"): Bytes } };
  if (Buffer) return Buffer.from(hex, "hex");
  const bytes = new Uint8Array(hex.length / 2);
  const digit = (i: number) => {
    const c = hex.charCodeAt(i);
    return c < 58 ? c - 48 : c - 87;
  };
  for (let i = 0; i < bytes.length; i++) bytes[i] = digit(2 * i) * 16 + digit(2 * i + 1);
  return bytes;
}

function isVariant(source: unknown): source is WasmVariant & Inlined {
  return typeof (source as Partial<WasmVariant> | null)?.variant === "string";
}

const listOf = (sources: unknown): readonly unknown[] =>
  Array.isArray(sources) ? sources : [sources];

/** The first of the sources that this host can compile; the build itself without any. */
export async function loadModule(
  operation: string,
  build: Build,
  sources: WasmSource | readonly WasmSource[] | undefined,
): Promise<WebAssembly.Module> {
  const loader = new Loader(operation, build);
  return sources === undefined ? loader.own() : loader.first(listOf(sources));
}

/** As loadModule, for sources that need no waiting: a Response or a URL is a TypeError. */
export function loadModuleSync(
  operation: string,
  build: Build,
  sources: WasmSource | readonly WasmSource[] | undefined,
): WebAssembly.Module {
  const loader = new Loader(operation, build);
  return sources === undefined ? loader.own() : loader.firstSync(listOf(sources));
}
