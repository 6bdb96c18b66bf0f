// The entries of a ZIP archive, by the library fflate.

import { unzipSync } from "fflate";
import { FormatError } from "lamella";

/**
 * Compressed entries may have this many bytes for each byte of the archive. What writes models
 * stores its numbers as they are, so that an archive beyond it is made to fill the memory.
 */
const MAX_RATIO = 64;

/**
 * Returns the files of a ZIP archive by name.
 * @throws FormatError for bytes that are no such archive or are cut, for two files of one name, and
 *   for entries that claim far more than the archive has
 */
export function readZip(operation: string, bytes: Uint8Array): Map<string, Uint8Array> {
  const sizes = new Map<string, number>();
  let claimed = 0;
  const fail = (message: string) => new FormatError(`${operation}: the ZIP archive ${message}`);
  let entries: Record<string, Uint8Array>;
  try {
    entries = unzipSync(bytes, {
      filter({ name, size, originalSize, compression }) {
        if (sizes.has(name)) throw fail(`has two files ${JSON.stringify(name.slice(0, 60))}`);
        sizes.set(name, originalSize);
        claimed += Math.max(size, originalSize);
        if (compression !== 0 && compression !== 8) {
          throw fail(`is compressed by method ${compression}, expected 0 (stored) or 8 (deflate)`);
        }
        if (claimed > MAX_RATIO * bytes.length) {
          throw fail(`claims more than ${MAX_RATIO} times its ${bytes.length} bytes`);
        }
        return true;
      },
    });
  } catch (error) {
    if (error instanceof FormatError) throw error;
    throw fail(`cannot be read: ${(error as Error).message}`);
  }
  const files = new Map(Object.entries(entries));
  for (const [name, size] of sizes) {
    const { length = -1 } = files.get(name) ?? {};
    if (length !== size) {
      throw fail(`ends within ${JSON.stringify(name.slice(0, 60))}, which has ${size} bytes`);
    }
  }
  return files;
}
