// This file tells what bytes are that should have been a safetensors file.

import { quote } from "../runtime/errors.ts";

const CONVERT = ": convert it by save_file of Python's safetensors";

/** Each row has the first bytes of a kind of file, and the words of the message about it. */
const beginnings: readonly (readonly [string, string])[] = [
  ["version https://git-lfs", "a Git LFS pointer: git lfs pull brings the file"],
  [
    "PK\x03\x04",
    `a ZIP archive, as .pt is, which readTorch of lamella/torch reads, and .keras and .npz${CONVERT}`,
  ],
  ["\x80", "a pickle, as older .pt are: readTorch of lamella/torch reads those"],
  ["\x89HDF", `an HDF5 file, as .h5 is${CONVERT}`],
  ["\x93NUMPY", `an array of NumPy${CONVERT}`],
  ["\x1f\x8b", "a gzip file: unpack it"],
  ["\0asm", "WebAssembly"],
  ["<", "an HTML or XML page: look at the address"],
  ["{", "JSON"],
  ["[", "JSON"],
];

/** Returns "; the file is an HTML page …" for bytes that it knows by their beginning, else "". */
export function foundIn(file: Uint8Array): string {
  if (file.length === 0) return "; the file is empty";
  const head = String.fromCharCode(...file.subarray(0, 60));
  // Text may begin with a byte order mark and white space.
  const text = head.replace(/^\u00ef\u00bb\u00bf/, "").trim();
  let found = beginnings.find(([start]) => head.startsWith(start) || text.startsWith(start))?.[1];
  // A file of protocol buffers begins with a version, and then comes a field with a length.
  const [tag, version = 0, field = 0] = file;
  if (tag === 8 && version > 2 && version < 32 && field % 8 === 2) found = "an ONNX model";
  if (head.startsWith("TFL3", 4)) found = "a TFLite model";
  if (!found && /^[\t\n\r -~]+$/.test(head)) found = `text: ${quote(text)}`;
  return found ? `; the file is ${found}` : "";
}
