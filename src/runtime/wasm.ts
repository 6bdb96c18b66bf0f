// From what a caller passes as `wasm`, or from the build that an entry has with it, to a compiled module.

import { readFileUrl } from "./hosts/node.ts";

/** The build of a core that an entry has with it; scripts/build.js makes it. */
export interface Build {
  /** By what name people import it: "lamella/core.wasm". */
  readonly file: string;
  /** With spaces between them. */
  readonly exportNames: string;
  /** Its bytes, */
  readonly hex?: string;
  /** or in the entries for hosts that compile nothing at run time what the host, or a bundler, makes of the import of its file. */
  readonly module?: unknown;
}

/** A compiled module, the bytes of one, a response with them, or where to fetch them. */
export type WasmSource = WebAssembly.Module | BufferSource | Response | URL | string;

type Bytes = Uint8Array<ArrayBuffer>;

/** A value's kind, whichever realm it comes from: "ArrayBuffer", "Response", … */
function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}

/** The sources of one call, whose name its errors carry. */
class Loader {
  /** What the host said of the last bytes that it did not take. */
  private refusal: Error | undefined;

  constructor(
    private readonly operation: string,
    private readonly build: Build,
  ) {}

  /** The module of the build itself. */
  own(): WebAssembly.Module {
    const { hex, module, file } = this.build;
    if (hex === undefined) {
      const ready = this.asReady(module);
      const compiled = ready && this.compile(ready);
      if (compiled) return compiled;
      throw this.error(
        `expected this host, or the bundler, to make a WebAssembly.Module of ${file}, got ${describe(module)}; give one as the option wasm`,
      );
    }
    const compiled = this.ofBytes(decodeHex(hex));
    if (compiled) return compiled;
    throw new WebAssembly.CompileError(
      `${this.operation}: this host does not compile ${file}: ${this.refusal?.message}; where it takes modules alone, import ${file} and give it as the option wasm`,
    );
  }

  /** The first source that this host compiles. */
  async first(sources: readonly unknown[]): Promise<WebAssembly.Module> {
    for (const source of sources) {
      const module = this.compile(this.asReady(source) ?? (await this.fetch(source)));
      if (module) return module;
    }
    throw this.noneValid(sources.length);
  }

  /** As first, at once. */
  firstSync(sources: readonly unknown[]): WebAssembly.Module {
    for (const source of sources) {
      const ready = this.asReady(source);
      if (!ready) {
        throw this.error(
          `expected a WebAssembly.Module or bytes, got ${describe(source)}; await ${this.operation.replace("Sync", "")} for the others`,
        );
      }
      const module = this.compile(ready);
      if (module) return module;
    }
    throw this.noneValid(sources.length);
  }

  /** A module or bytes as they are, null for what has to be waited for. */
  private asReady(source: unknown): WebAssembly.Module | Bytes | null {
    if (tagOf(source) === "WebAssembly.Module") return source as WebAssembly.Module;
    if (ArrayBuffer.isView(source)) {
      return new Uint8Array(source.buffer as ArrayBuffer, source.byteOffset, source.byteLength);
    }
    return /^(Shared)?ArrayBuffer$/.test(tagOf(source))
      ? new Uint8Array(source as ArrayBuffer)
      : null;
  }

  private async fetch(source: unknown): Promise<Bytes> {
    if (tagOf(source) === "Response") return this.read(source as Response);
    if (typeof source !== "string" && tagOf(source) !== "URL") {
      throw this.error(
        `expected a WebAssembly.Module, bytes, a Response or a URL, got ${describe(source)}`,
      );
    }
    let response: Response;
    try {
      const base = (globalThis as { location?: { href?: string } }).location?.href;
      const url = new URL(source as string | URL, base);
      const file = url.protocol === "file:" ? readFileUrl(url) : null;
      if (file) return file;
      response = await fetch(url);
    } catch (cause) {
      throw this.error(`cannot read ${source}: ${(cause as Error).message}`, { cause });
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

  /** A module that is a core of this package, or null for bytes that are WebAssembly which this host does not take. */
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
    const names = new Set(WebAssembly.Module.exports(module).map(({ name }) => name));
    const { exportNames, file } = this.build;
    const missing = exportNames.split(" ").filter((name) => !names.has(name));
    const foreign = WebAssembly.Module.imports(module).filter(
      ({ module, name }) => module !== "env" || name !== "memory",
    );
    if (missing.length > 0 || foreign.length > 0) {
      const what = missing.length > 0 ? `lacks ${missing[0]}` : `imports ${foreign[0]?.name}`;
      throw this.error(
        `the module is WebAssembly, but not a core of this package (${file}) in this version: it ${what}`,
      );
    }
    return module;
  }

  private noneValid(count: number): Error {
    return count === 0
      ? this.error("the list of sources is empty")
      : new WebAssembly.CompileError(
          `${this.operation}: wasm: this host takes none of the given builds: ${this.refusal?.message}`,
        );
  }

  private error(message: string, options?: ErrorOptions): TypeError {
    return new TypeError(`${this.operation}: wasm: ${message}`, options);
  }
}

function describe(value: unknown): string {
  return value !== null && typeof value === "object" ? tagOf(value) : String(value);
}

function startsAsWasm(bytes: Bytes): boolean {
  return bytes[0] === 0 && bytes[1] === 0x61 && bytes[2] === 0x73 && bytes[3] === 0x6d;
}

/**
 * Hex rather than base64: it costs a compressed bundle less, and decodes in a plain loop, which in a fresh process takes
 * 3 ms where a host's own decoder takes 0.1.
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

/** Compiled once in a process. */
const modules = new WeakMap<Build, WebAssembly.Module>();

function ownModule(operation: string, build: Build): WebAssembly.Module {
  let module = modules.get(build);
  if (!module) {
    module = new Loader(operation, build).own();
    modules.set(build, module);
  }
  return module;
}

const listOf = (sources: unknown): readonly unknown[] =>
  Array.isArray(sources) ? sources : [sources];

/** The first of the sources that this host can compile; the build itself without any. */
export async function loadModule(
  operation: string,
  build: Build,
  sources: WasmSource | readonly WasmSource[] | undefined,
): Promise<WebAssembly.Module> {
  if (sources === undefined) return ownModule(operation, build);
  return new Loader(operation, build).first(listOf(sources));
}

/** As loadModule, for sources that need no waiting: a Response or a URL is a TypeError. */
export function loadModuleSync(
  operation: string,
  build: Build,
  sources: WasmSource | readonly WasmSource[] | undefined,
): WebAssembly.Module {
  if (sources === undefined) return ownModule(operation, build);
  return new Loader(operation, build).firstSync(listOf(sources));
}
