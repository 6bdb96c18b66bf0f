// Bytes from files and the standard input, and into files.

import {
  accessSync,
  constants,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import process from "node:process";
import { gunzipSync } from "node:zlib";
import { readSafetensors, type SafetensorsFile } from "lamella";
import { Fault, touching, visible } from "./fault.ts";

/** How messages call an input. */
export const nameOf = (path: string) => (path === "-" ? "the standard input" : visible(path));

/** All of a file, or of the standard input for "-"; unpacked where it is gzip. */
export async function readInput(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = path === "-" ? await readStandardInput() : readFile(path);
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return new Uint8Array(gunzipSync(bytes, { maxOutputLength: 2 ** 31 - 1 }));
  } catch (error) {
    throw new Fault(`${nameOf(path)}: not whole as gzip: ${(error as Error).message}`);
  }
}

const readFile = (path: string) => touching(path, () => new Uint8Array(readFileSync(path)));

/** A safetensors file and its bytes; what is none is told by the file's name. */
export function readModel(path: string): { bytes: Uint8Array<ArrayBuffer>; file: SafetensorsFile } {
  const bytes = readFile(path);
  try {
    return { bytes, file: readSafetensors(bytes) };
  } catch (error) {
    const why = (error as Error).message.replace(/^readSafetensors: /, "");
    throw new Fault(`${visible(path)}: not a safetensors file: ${visible(why)}`);
  }
}

async function readStandardInput(): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Uint8Array);
  return new Uint8Array(Buffer.concat(chunks));
}

/** Refuses a path that could not be written, before hours of work end there. */
export function checkWritable(option: string, path: string): void {
  const there = statSync(path, { throwIfNoEntry: false });
  if (there?.isDirectory()) throw new Fault(`${option}: ${visible(path)} is a folder`);
  const folder = dirname(path);
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new Fault(`${option}: there is no folder ${visible(folder)}`);
  }
  touching(path, () => accessSync(there ? path : folder, constants.W_OK));
}

/** Writes a file as a whole or not at all: who is killed meanwhile leaves what was there before. */
export function writeWhole(path: string, bytes: Uint8Array): void {
  const there = statSync(path, { throwIfNoEntry: false });
  touching(path, () => {
    if (there && !there.isFile()) return writeFileSync(path, bytes); // /dev/stdout, say
    const temporary = `${path}.${process.pid}.tmp`;
    try {
      writeFileSync(temporary, bytes);
      renameSync(temporary, path);
    } finally {
      rmSync(temporary, { force: true });
    }
  });
}
