// From what a caller passes as `wasm`, or from the build that is inlined, to a compiled module.

import inlined from "../../build/core.inline.js";
import { isCore } from "./core.ts";
import { readFileUrl } from "./hosts/node.ts";

/** A compiled module, the bytes of one, a response with them, or where to fetch them. */
export type WasmSource = WebAssembly.Module | BufferSource | Response | URL | string;

/** A value's kind, whichever realm it comes from: "ArrayBuffer", "Response", … */
function toTag(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}

function describe(value: unknown): string {
  return value !== null && typeof value === "object" ? toTag(value) : String(value);
}

// Type predicates would make `never` of a BufferSource, as a Module's type has no members.
function isModule(source: unknown): boolean {
  return toTag(source) === "WebAssembly.Module";
}

function isBytes(source: unknown): boolean {
  return ArrayBuffer.isView(source) || /^(Shared)?ArrayBuffer$/.test(toTag(source));
}

function startsAsWasm(bytes: BufferSource): boolean {
  const view = ArrayBuffer.isView(bytes)
    ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new Uint8Array(bytes);
  return view[0] === 0 && view[1] === 0x61 && view[2] === 0x73 && view[3] === 0x6d;
}

async function readResponse(response: Response): Promise<ArrayBuffer> {
  const from = response.url ? ` from ${response.url}` : "";
  if (!response.ok) {
    throw new TypeError(
      `createRuntime: wasm: expected WebAssembly, got status ${response.status}${from}`,
    );
  }
  const bytes = await response.arrayBuffer();
  if (!startsAsWasm(bytes)) {
    const type = response.headers.get("content-type") ?? "something without a content type";
    throw new TypeError(`createRuntime: wasm: expected WebAssembly, got ${type}${from}`);
  }
  return bytes;
}

/** Reads what has to be waited for. */
async function fetchSource(source: WasmSource): Promise<WebAssembly.Module | BufferSource> {
  if (isModule(source) || isBytes(source)) return source as WebAssembly.Module | BufferSource;
  if (toTag(source) === "Response") return readResponse(source as Response);
  if (typeof source === "string" || toTag(source) === "URL") {
    const base = (globalThis as { location?: { href?: string } }).location?.href;
    const url = new URL(source as string | URL, base);
    const file = url.protocol === "file:" ? readFileUrl(url) : null;
    return file ?? readResponse(await fetch(url));
  }
  throw wrongSource(source);
}

function wrongSource(source: unknown): TypeError {
  return new TypeError(
    `createRuntime: wasm: expected a WebAssembly.Module, bytes, a Response or a URL, got ${describe(source)}`,
  );
}

/** The module, or null for bytes that are WebAssembly which this host does not take. */
function compile(source: WebAssembly.Module | BufferSource): WebAssembly.Module | null {
  let module: WebAssembly.Module;
  if (isModule(source)) {
    module = source as WebAssembly.Module;
  } else {
    const bytes = source as BufferSource;
    if (!startsAsWasm(bytes)) {
      throw new TypeError(
        `createRuntime: wasm: expected WebAssembly, got ${bytes.byteLength} bytes that do not begin as it does`,
      );
    }
    if (!WebAssembly.validate(bytes)) return null;
    module = new WebAssembly.Module(bytes);
  }
  if (!isCore(module)) {
    throw new TypeError(
      "createRuntime: wasm: the module is WebAssembly, but not a core of this package (lamella/core.wasm)",
    );
  }
  return module;
}

function noneValid(): Error {
  return new WebAssembly.CompileError(
    "createRuntime: wasm: this host takes none of the given builds (it may lack SIMD)",
  );
}

/** Hex rather than base64: it costs a compressed bundle less, and decodes in a plain loop. */
function decodeHex(hex: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(hex.length / 2);
  const digit = (i: number) => {
    const c = hex.charCodeAt(i);
    return c < 58 ? c - 48 : c - 87;
  };
  for (let i = 0; i < bytes.length; i++) bytes[i] = digit(2 * i) * 16 + digit(2 * i + 1);
  return bytes;
}

let inlinedModule: WebAssembly.Module | null = null;

function defaultModule(): WebAssembly.Module {
  inlinedModule ??= compile(decodeHex(inlined));
  if (!inlinedModule) throw noneValid();
  return inlinedModule;
}

/** The first of the sources that this host can compile; the inlined build without any. */
export async function loadModule(
  sources: WasmSource | readonly WasmSource[] | undefined,
): Promise<WebAssembly.Module> {
  if (sources === undefined) return defaultModule();
  for (const source of Array.isArray(sources) ? sources : [sources]) {
    const module = compile(await fetchSource(source));
    if (module) return module;
  }
  throw noneValid();
}

/** As loadModule, for sources that need no waiting: a Response or a URL is a TypeError. */
export function loadModuleSync(
  sources: WasmSource | readonly WasmSource[] | undefined,
): WebAssembly.Module {
  if (sources === undefined) return defaultModule();
  for (const source of Array.isArray(sources) ? sources : [sources]) {
    if (!isModule(source) && !isBytes(source)) {
      throw new TypeError(
        `createRuntimeSync: wasm: expected a WebAssembly.Module or bytes, got ${describe(source)}; await createRuntime for the others`,
      );
    }
    const module = compile(source as WebAssembly.Module | BufferSource);
    if (module) return module;
  }
  throw noneValid();
}
