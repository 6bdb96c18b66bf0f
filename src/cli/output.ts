// Writing files.

import { accessSync, constants, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import process from "node:process";
import { Fault, touching, visible } from "./fault.ts";

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
