// This file reads files and the standard input within limits; output.ts writes.

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import process from "node:process";
import { createGunzip } from "node:zlib";
import { FormatError, readSafetensors, type SafetensorsFile } from "lamella";
import { Fault, reasonOf, touching, visible } from "./fault.ts";

/** Data may take no more than this, whatever their file claims. Each limit has its own option. */
export interface Limits {
  /** The bytes of a file of data, after gzip is unpacked. */
  maxBytes: number;
  /** The bytes of one row of a table, however many lines its cells have. */
  maxRowBytes: number;
  maxColumns: number;
  maxRows: number;
  /** The rows of a table times its columns. */
  maxCells: number;
}

export const limits: Readonly<Limits> = {
  maxBytes: 2 ** 30,
  maxRowBytes: 2 ** 24,
  maxColumns: 1_000_000,
  maxRows: 10_000_000,
  maxCells: 100_000_000,
};

/** Returns --max-row-bytes for maxRowBytes. */
export const optionOf = (limit: keyof Limits) =>
  `--${limit.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/**
 * Refuses `count` bytes, rows or the like where the limit, of an option or the usual one, is lower.
 */
export function checkLimit(
  limit: keyof Limits,
  given: Partial<Limits>,
  count: number,
  name: string,
  unit: string,
): void {
  const most = given[limit] ?? limits[limit];
  if (count <= most) return;
  throw new Fault(`${name}: has more than ${most} ${unit}; ${optionOf(limit)} raises this limit`);
}

/** Returns the name of an input in messages. */
export const nameOf = (path: string) => (path === "-" ? "the standard input" : visible(path));

/**
 * A few megabytes of gzip can unpack to gigabytes, so the unpacked bytes come in chunks of this
 * size.
 */
const CHUNK = 2 ** 18;

/**
 * A file, or the standard input. Its bytes are held as they lie there, so that every reading is of
 * the same bytes; a file packed by gzip is unpacked anew by each reading.
 */
export class Input {
  /** Its name in messages. */
  readonly name: string;

  constructor(
    path: string,
    private readonly raw: Uint8Array<ArrayBuffer>,
    private readonly given: Partial<Limits>,
  ) {
    this.name = nameOf(path);
    if (!this.isPacked) this.check(raw.length);
  }

  private get isPacked(): boolean {
    return this.raw[0] === 0x1f && this.raw[1] === 0x8b;
  }

  private check(length: number): void {
    const unit = this.isPacked ? "bytes when unpacked" : "bytes";
    checkLimit("maxBytes", this.given, length, this.name, unit);
  }

  /** Gives all bytes in their order, unpacked where they are gzip; every call begins anew. */
  async *chunks(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    if (!this.isPacked) {
      yield this.raw;
      return;
    }
    const gunzip = createGunzip({ chunkSize: CHUNK });
    gunzip.end(this.raw);
    let length = 0;
    try {
      for await (const chunk of gunzip) {
        length += chunk.length;
        this.check(length);
        yield new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
      }
    } catch (error) {
      if (error instanceof Fault || !/^Z_|^ERR_/.test((error as { code?: string }).code ?? "")) {
        throw error;
      }
      throw new Fault(`${this.name}: not whole as gzip: ${(error as Error).message}`);
    } finally {
      gunzip.destroy();
    }
  }

  /**
   * Returns the first bytes, at least four where there are that many: they tell what the file is.
   */
  async head(): Promise<Uint8Array<ArrayBuffer>> {
    for await (const chunk of this.chunks()) if (chunk.length > 0) return chunk;
    return new Uint8Array(0);
  }

  /**
   * Returns all bytes in one array. They are counted first, since to gather chunks in a list would
   * hold them twice.
   */
  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    if (!this.isPacked) return this.raw;
    let length = 0;
    for await (const chunk of this.chunks()) length += chunk.length;
    const whole = new Uint8Array(length);
    let at = 0;
    for await (const chunk of this.chunks()) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    return whole;
  }
}

/** Opens a file, or the standard input for "-". */
export async function openInput(path: string, given: Partial<Limits> = {}): Promise<Input> {
  const most = given.maxBytes ?? limits.maxBytes;
  const refuse = (size: number) => checkLimit("maxBytes", given, size, nameOf(path), "bytes");
  const raw = path === "-" ? await readStandardInput(most) : readFile(path, most, refuse);
  return new Input(path, raw, given);
}

/** Reads all of a file, or of the standard input for "-", and unpacks it where it is gzip. */
export const readInput = async (path: string, given: Partial<Limits> = {}) =>
  (await openInput(path, given)).bytes();

/**
 * Reads a file, a device or a pipe. Where it has no end, or grows, it is read until it is seen
 * to be too long; a file whose size is too large is not read at all.
 *
 * @param refuse throws
 */
const readFile = (path: string, most: number, refuse: (size: number) => void) =>
  touching(path, () => {
    const file = openSync(path, "r");
    try {
      const { size } = fstatSync(file);
      if (size > most) refuse(size);
      // One more byte shows whether that is the end.
      let bytes = new Uint8Array(Math.max(size + 1, CHUNK));
      let length = 0;
      for (let count = -1; count !== 0 && length <= most; length += count) {
        if (length === bytes.length) {
          const larger = new Uint8Array(Math.min(2 * length, most + 1));
          larger.set(bytes);
          bytes = larger;
        }
        count = readSync(file, bytes, length, bytes.length - length, null);
      }
      return bytes.subarray(0, length);
    } finally {
      closeSync(file);
    }
  });

/** A model's file may have this many bytes. */
const MOST_BYTES = 2 ** 31;

/** Reads a safetensors file, and returns its bytes too; the error for any other names the file. */
export function readModel(path: string): { bytes: Uint8Array<ArrayBuffer>; file: SafetensorsFile } {
  const bytes = readFile(path, MOST_BYTES, () => {
    throw new Fault(`${visible(path)}: is larger than 2 GiB, and no such model is read`);
  });
  try {
    return { bytes, file: readSafetensors(bytes) };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const why = error.message.replace(/^readSafetensors: /, "");
    throw new Fault(`${visible(path)}: not a safetensors file: ${visible(why)}`);
  }
}

async function readStandardInput(most: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of process.stdin) {
      chunks.push(chunk as Uint8Array);
      length += (chunk as Uint8Array).length;
      if (length > most) break;
    }
  } catch (error) {
    throw new Fault(`${nameOf("-")}: ${reasonOf(error)}`);
  }
  const { buffer, byteOffset } = Buffer.concat(chunks);
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, length);
}
