import process from "node:process";

/** Exit codes, as `lamella --help` tells them. */
const FAILED = 1;
export const USAGE = 2;

/**
 * This error says in one line what went wrong, and names the file or the argument; the process ends
 * with its code.
 */
export class Fault extends Error {
  constructor(
    message: string,
    readonly code: number = FAILED,
  ) {
    super(message);
  }
}

/**
 * A terminal obeys these characters, or does not show them: controls, directions, line separators
 * and half surrogates.
 */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
const escaped = (character: string) => `\\u{${character.codePointAt(0)?.toString(16)}}`;

/**
 * Returns lines of text without what a terminal would obey. Every line that is printed goes through
 * this function.
 */
export const visibleLines = (text: string) =>
  text.replace(HIDDEN, (character) => (/[\n\t]/.test(character) ? character : escaped(character)));

/**
 * Returns a text of a file or an argument for a message: on one line, without what a terminal would
 * obey, and not too long.
 */
export function visible(text: string, most = 200): string {
  // A character becomes nine at most, and the rest of the text is not looked at.
  const shown = text.slice(0, most + 1).replace(HIDDEN, escaped);
  if (shown.length <= most) return shown;
  return `${shown.slice(0, most).replace(/[\ud800-\udbff]$/, "")}…`;
}

/** Returns the same in quotes. */
export const quoted = (text: string) => `"${visible(text)}"`;

const systemErrors: Record<string, string> = {
  ENOENT: "no such file",
  EBADF: "it is not open for this",
  EISDIR: "is a folder, expected a file",
  ENOTDIR: "a part of its path is no folder",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  ENOSPC: "no space left on the device",
  EDQUOT: "no space left of what this user may have",
  EFBIG: "the file is larger than this system, or a limit of it, allows",
  EBUSY: "something else uses it",
  ETXTBSY: "it is a program that runs",
  EIO: "the device failed",
  EPIPE: "nobody reads what is written there",
  ENXIO: "nothing is at its other end",
  ELOOP: "its links lead in a circle",
  ENAMETOOLONG: "the name is too long",
  ERR_FS_FILE_TOO_LARGE: "the file is larger than can be read at once (2 GiB)",
};

/** Says in words why the system refused something. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return systemErrors[code ?? ""] ?? visible(message);
}

/** Runs what touches a file; its errors name the file. */
export function touching<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    // it is none of the system's
    if (typeof (error as NodeJS.ErrnoException).code !== "string") throw error;
    throw new Fault(`${visible(path)}: ${reasonOf(error)}`);
  }
}

/** The most characters of a message, whatever a file makes it say. */
const LONGEST = 2000;

/**
 * Prints an error in one line, with the places that it came from where they are asked for, and
 * returns the exit code.
 */
export function report(command: string, error: unknown, verbose: boolean): number {
  const { message, stack } =
    error instanceof Error ? error : { message: String(error), stack: undefined };
  const line = message.slice(0, 2 * LONGEST).replace(/\s*\n\s*/g, " ");
  process.stderr.write(`${command}: ${visible(line, LONGEST)}\n`);
  if (verbose && stack) {
    // The message stands above the places, in full.
    const places = stack.slice(stack.lastIndexOf(message) + message.length);
    process.stderr.write(visibleLines(`Error: ${visible(line, LONGEST)}${places}\n`));
  }
  return error instanceof Fault ? error.code : FAILED;
}
