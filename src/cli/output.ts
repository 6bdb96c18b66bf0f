// Commands write their files by this one. It finds before the work begins whether a file can be
// written, it does not lose the file that was there, and where writing fails after all, it puts the
// new file into another place.

import { createHash, randomBytes } from "node:crypto";
import {
  accessSync,
  type BigIntStats,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  realpathSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { dirname, isAbsolute, join, resolve, sep } from "node:path";
import process from "node:process";
import { Fault, reasonOf, USAGE, visible } from "./fault.ts";
import { nameOf } from "./files.ts";

const STANDARD_OUTPUT = 1;

/** Returns the status of a path or an open file, and undefined where it cannot be reached. */
function statusOf(file: string | number): BigIntStats | undefined {
  try {
    return typeof file === "number"
      ? fstatSync(file, { bigint: true })
      : statSync(file, { bigint: true });
  } catch {
    return undefined;
  }
}

/**
 * True for the same file, whatever its names: another spelling, a link, or other letters where case
 * does not matter.
 */
const isSame = (a: BigIntStats | undefined, b: BigIntStats | undefined) =>
  a !== undefined && b !== undefined && a.ino !== 0n && a.ino === b.ino && a.dev === b.dev;

/**
 * Refuses to write into a file that is read. `outputs` are by their names in messages, `inputs` are
 * paths, and "-" may be among them.
 */
export function refuseInputs(outputs: Record<string, string | number>, inputs: readonly string[]) {
  for (const [name, output] of Object.entries(outputs)) {
    const status = statusOf(output);
    if (!status?.isFile()) continue; // a terminal or a pipe may be read and written
    for (const input of inputs) {
      if (!isSame(status, statusOf(input === "-" ? 0 : input))) continue;
      throw new Fault(`${name} is the same file as ${nameOf(input)}, which is read`, USAGE);
    }
  }
}

/** Does the same for a command that writes nothing but its answers, to the standard output. */
export const refuseToAppend = (...inputs: string[]) =>
  refuseInputs({ "the standard output": STANDARD_OUTPUT, "the standard error": 2 }, inputs);

/** Of safetensors. */
const LONGEST_HEADER = 100_000_000;

/** True if a file begins as those do that saveModel and a trainer's checkpoint() make. */
function isOurs(path: string): boolean {
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    const start = new Uint8Array(8);
    readSync(file, start);
    const length = Number(new DataView(start.buffer).getBigUint64(0, true));
    if (length > Math.min(LONGEST_HEADER, fstatSync(file).size)) return false;
    const header = new Uint8Array(length);
    readSync(file, header, 0, length, 8);
    const { format, kind } = JSON.parse(new TextDecoder().decode(header)).__metadata__;
    return format === "lamella" && (kind === "model" || kind === "checkpoint");
  } catch {
    return false;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Returns where the links of a path lead, whether a file is there or not. */
function targetOf(path: string): string {
  let target = path;
  for (let hops = 0; hops < 40 && isLink(target); hops++) {
    const link = readlinkSync(target);
    // The system resolves it, for which `..` of a linked folder is that of the folder itself.
    target = isAbsolute(link) ? link : realpathSync.native(dirname(target)) + sep + link;
  }
  return target;
}

const isLink = (path: string) => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink();

/** Writes all of it, even into a pipe that is full for a while. */
function writeAll(file: number, bytes: Uint8Array, isPositioned: boolean): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(file, bytes, at, bytes.length - at, isPositioned ? at : null);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

/**
 * Flushes a folder, so that it keeps a renamed file over a power failure; not every system can do
 * that.
 */
function flushFolder(folder: string): void {
  try {
    const file = openSync(folder, "r");
    try {
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch {
    // The file is whole even so.
  }
}

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // The file is gone, or nobody may remove it.
  }
}

/**
 * The name of a temporary file tells which process makes it. Nobody can guess its random part and
 * put a link there.
 */
const host = createHash("sha256").update(hostname()).digest("hex").slice(0, 8);
const temporaryName = () =>
  `.lamella-${host}-${process.pid}-${randomBytes(12).toString("hex")}.tmp`;
const TEMPORARY = /^\.lamella-([0-9a-f]{8})-(\d+)-[0-9a-f]{24}\.tmp$/;
const WEEK = 7 * 24 * 3600 * 1000;

/** The temporary files of this process; they are removed when it ends, unless it is killed. */
const temporaries = new Set<string>();
process.on("exit", () => {
  for (const path of temporaries) removeFile(path);
});

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // it is another user's
  }
};

/**
 * Removes temporary files of processes that were killed. Those of another machine's processes,
 * which may still run, are removed after a week.
 */
function sweep(folder: string): void {
  let names: string[] = [];
  try {
    names = readdirSync(folder);
  } catch {
    // The folder may be written and not read.
  }
  for (const name of names) {
    const [, where, pid] = TEMPORARY.exec(name) ?? [];
    const path = join(folder, name);
    if (where === undefined || temporaries.has(path)) continue;
    const isLeft =
      where === host
        ? Number(pid) === process.pid || !isAlive(Number(pid))
        : Date.now() - Number(statusOf(path)?.mtimeMs ?? Date.now()) > WEEK;
    if (isLeft) removeFile(path);
  }
}

/** An open file beside its target, under a new name. */
class Temporary {
  readonly file: number;
  private readonly path: string;
  private isOpen = true;

  /** @param there the file that it will replace: until then nobody else may read the new one */
  constructor(target: string, there: BigIntStats | undefined) {
    this.path = join(dirname(target), temporaryName());
    this.file = openSync(this.path, "wx", there ? 0o600 : 0o666);
    temporaries.add(this.path);
  }

  /** Moves the file to the target's place, where nobody ever sees half of it. */
  become(target: string): void {
    fsyncSync(this.file);
    this.close(); // Windows renames no open file
    renameSync(this.path, target);
    temporaries.delete(this.path);
    flushFolder(dirname(target));
  }

  remove(): void {
    this.close();
    removeFile(this.path);
    temporaries.delete(this.path);
  }

  private close(): void {
    if (this.isOpen) closeSync(this.file);
    this.isOpen = false;
  }
}

/** Makes a new file of these bytes, or none. */
function create(path: string, bytes: Uint8Array, mode = 0o666): void {
  const file = openSync(path, "wx", mode);
  try {
    writeAll(file, bytes, true);
    fsyncSync(file);
  } catch (error) {
    removeFile(path);
    throw error;
  } finally {
    closeSync(file);
  }
}

const newName = (what: string) => `lamella-${what}-${randomBytes(6).toString("hex")}.safetensors`;

/**
 * Makes a new file of these bytes in the first of the folders that takes it. Returns its path, or
 * undefined if none does.
 */
function createIn(folders: readonly string[], what: string, bytes: Uint8Array, mode?: number) {
  for (const folder of folders) {
    const path = resolve(folder, newName(what));
    try {
      create(path, bytes, mode);
      return path;
    } catch {
      // The next folder may take it.
    }
  }
  return undefined;
}

export interface OutputOptions {
  /** The paths of all files that are read, "-" for the standard input. */
  inputs: readonly string[];
  /** True if a file may be replaced that is no model of ours. */
  force?: boolean | undefined;
}

export class Output {
  /** The path at the end of all links; undefined for a device or a pipe. */
  private target: string | undefined;
  private reserved: Temporary | undefined;
  /** True if this is the standard output itself: then nothing else may be printed there. */
  readonly isStandardOutput: boolean;

  /**
   * Refuses a file that cannot or must not be written, before hours of work are lost by that.
   *
   * @param option the name of the file's option in messages
   */
  constructor(
    private readonly option: string,
    private readonly path: string,
    private readonly options: OutputOptions,
  ) {
    if (path === "") throw new Fault(`${option}: expected the name of a file, got nothing`, USAGE);
    refuseInputs({ [`${option}: ${visible(path)}`]: path }, options.inputs);
    refuseToAppend(...options.inputs);
    const status = this.attempt(() => statSync(path, { bigint: true, throwIfNoEntry: false }));
    if (status?.isDirectory()) throw new Fault(`${option}: ${visible(path)} is a folder`);
    const output = statusOf(STANDARD_OUTPUT);
    this.isStandardOutput = !output?.isCharacterDevice() && isSame(status, output);
    if (this.isStandardOutput) {
      // Under two names it would be written by two that do not know of each other.
      if (!status?.isFile() || /^\/(dev|proc)\//.test(path)) return;
      throw new Fault(`${option}: ${visible(path)} is where the standard output goes`, USAGE);
    }
    if (status && !status.isFile()) {
      if (status.isBlockDevice() || status.isSocket()) {
        throw new Fault(`${option}: ${visible(path)} is no file, no pipe and no terminal`);
      }
      this.attempt(() => accessSync(path, constants.W_OK));
      return;
    }
    if (path.endsWith("/") || path.endsWith(sep)) {
      throw new Fault(`${option}: there is no folder ${visible(path)}`);
    }
    const target = this.attempt(() => (status ? realpathSync.native(path) : targetOf(path)));
    if (!statusOf(dirname(target))?.isDirectory()) {
      throw new Fault(`${option}: there is no folder ${visible(dirname(target))}`);
    }
    this.target = target;
    this.refuseOthers();
    sweep(dirname(target));
    if (status) this.attempt(() => closeSync(openSync(target, "r+")));
    try {
      new Temporary(target, status).remove();
    } catch (error) {
      // A file that cannot be replaced may still be written into.
      if (!status) {
        this.attempt(() => closeSync(openSync(target, "wx")), error);
        removeFile(target);
      }
    }
  }

  /** Runs an action on the file; its errors name the option and the path. */
  private attempt<T>(action: () => T, earlier?: unknown): T {
    try {
      return action();
    } catch (error) {
      throw this.fault(earlier ?? error);
    }
  }

  private fault(error: unknown): Fault {
    if (error instanceof Fault) return error;
    return new Fault(`${this.option}: ${visible(this.path)}: ${reasonOf(error)}`);
  }

  /** Refuses to replace a file that is no model of ours, as it may be the only one of its kind. */
  private refuseOthers(): void {
    const { target, options } = this;
    if (options.force || !target || !statusOf(target) || isOurs(target)) return;
    throw new Fault(
      `${this.option}: ${visible(this.path)} is there and is no model that lamella wrote; --force replaces it`,
      USAGE,
    );
  }

  /**
   * Takes the space for this many bytes, so that a disk that is too full is known before the work
   * begins.
   */
  reserve(length: number): void {
    if (this.target === undefined) return;
    let temporary: Temporary;
    try {
      temporary = new Temporary(this.target, statusOf(this.target));
    } catch {
      return; // then the file itself will be written into
    }
    try {
      writeAll(temporary.file, new Uint8Array(length), true);
      fsyncSync(temporary.file);
      this.reserved = temporary;
    } catch (error) {
      temporary.remove();
      throw this.fault(error);
    }
  }

  /**
   * Writes the file as a whole. Where it cannot be written, a Fault tells where it is instead.
   */
  write(bytes: Uint8Array): void {
    let failed: Fault;
    try {
      this.put(bytes);
      return;
    } catch (error) {
      failed = this.fault(error);
    } finally {
      this.reserved?.remove();
      this.reserved = undefined;
    }
    const folders = [dirname(this.target ?? ""), process.cwd(), tmpdir()];
    const place = createIn(this.target ? folders : folders.slice(1), "model", bytes, 0o600);
    const end = place ? `the model is in ${visible(place)}` : "nor could it be written elsewhere";
    throw new Fault(`${failed.message}; ${end}`);
  }

  private put(bytes: Uint8Array): void {
    const { target } = this;
    if (target === undefined) {
      const file = this.isStandardOutput ? STANDARD_OUTPUT : openSync(this.path, "w");
      try {
        writeAll(file, bytes, false);
      } finally {
        if (!this.isStandardOutput) closeSync(file);
      }
      return;
    }
    this.refuseOthers(); // another file may have been put there meanwhile
    const there = statusOf(target);
    try {
      this.replace(target, bytes, there);
    } catch {
      // No file can be renamed onto one that is mounted, or in a folder that may not be written.
      if (there) overwrite(target, bytes);
      else create(target, bytes);
    }
  }

  private replace(target: string, bytes: Uint8Array, there: BigIntStats | undefined): void {
    // The reserved file may have been removed by now.
    for (const reserved of this.reserved ? [this.reserved, undefined] : [undefined]) {
      const temporary = reserved ?? new Temporary(target, there);
      try {
        writeAll(temporary.file, bytes, true);
        ftruncateSync(temporary.file, bytes.length);
        if (there) keepOwner(temporary.file, there);
        temporary.become(target);
        return;
      } catch (error) {
        temporary.remove();
        if (!reserved) throw error;
      }
    }
  }
}

/** Gives a file the owner and the mode of another, as far as this user may. */
function keepOwner(file: number, { uid, gid, mode }: BigIntStats): void {
  try {
    fchownSync(file, Number(uid), Number(gid));
  } catch {
    // Only the superuser may change a file's owner.
  }
  // it comes last, as a change of the owner takes bits away
  fchmodSync(file, Number(mode) & 0o7777);
}

/**
 * Writes into a file. Its old bytes are kept in another file until then, and are put back if the
 * writing fails.
 */
function overwrite(target: string, bytes: Uint8Array): void {
  const before = readFileSync(target);
  const copy = createIn([dirname(target), tmpdir()], "old", before, 0o600);
  if (copy === undefined)
    throw new Fault(`${visible(target)}: there is no space to keep what it holds`);
  const file = openSync(target, "r+");
  const put = (contents: Uint8Array) => {
    writeAll(file, contents, true);
    ftruncateSync(file, contents.length);
    fsyncSync(file);
  };
  try {
    put(bytes);
  } catch (error) {
    try {
      put(before);
    } catch {
      throw new Fault(
        `${visible(target)}: ${reasonOf(error)}; what it held is in ${visible(copy)}`,
      );
    }
    removeFile(copy);
    throw error;
  } finally {
    closeSync(file);
  }
  removeFile(copy);
}
