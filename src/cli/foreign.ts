// This file knows by their first bytes the files that people give for a table and that are none.
// The library's own reader knows some of them as well (io/found.ts), and tells who wants a model
// from them what to do; the advice is another, and a predictor's bundle carries no more rows than
// it needs.

const SHEET = "save the sheet as CSV";
const CONVERT = "write its rows as CSV, with pandas or DuckDB say";

/** Each row has the first bytes of a kind of file, its name, and what its owner can do. */
const binary: readonly (readonly [start: string, what: string, advice: string])[] = [
  ["PK\x03\x04", "a ZIP archive, as .xlsx is", `${SHEET}, or unpack the archive`],
  ["PK\x05\x06", "an empty ZIP archive", "look at where it came from"],
  ["\xd0\xcf\x11\xe0", "an Excel file of the older kind, .xls", SHEET],
  ["PAR1", "Parquet", CONVERT],
  ["ARROW1", "an Arrow (Feather) file", CONVERT],
  ["Obj\x01", "Avro", CONVERT],
  ["ORC", "ORC", CONVERT],
  ["SQLite format 3", "an SQLite database", "write the rows of a query as CSV"],
  ["\x89HDF", "HDF5", CONVERT],
  ["\x93NUMPY", "an array of NumPy, .npy", "numpy.savetxt writes it as CSV"],
  ["\x80\x02", "a pickle of Python", CONVERT],
  ["\x80\x03", "a pickle of Python", CONVERT],
  ["\x80\x04", "a pickle of Python", CONVERT],
  ["\x80\x05", "a pickle of Python", CONVERT],
  ["%PDF-", "a PDF", "copy its table into a sheet, and save that as CSV"],
  ["{\\rtf", "an RTF document", SHEET],
  ["\x89PNG", "a PNG image", "images are read from IDX files"],
  ["\xff\xd8\xff", "a JPEG image", "images are read from IDX files"],
  ["GIF8", "a GIF image", "images are read from IDX files"],
  ["BZh", "a bzip2 file", "unpack it; gzip alone is unpacked here"],
  ["\xfd7zXZ", "an xz file", "unpack it; gzip alone is unpacked here"],
  ["\x28\xb5\x2f\xfd", "a Zstandard file", "unpack it; gzip alone is unpacked here"],
  ["7z\xbc\xaf", "a 7-Zip archive", "unpack it"],
  ["version https://git-lfs", "a Git LFS pointer", "git lfs pull brings the file"],
];

export interface Foreign {
  what: string;
  advice: string;
}

/** A file that is known by its first bytes, whatever its text would say. */
export function binaryKind(bytes: Uint8Array): Foreign | undefined {
  const head = Buffer.from(bytes.subarray(0, 32)).toString("latin1");
  const found = binary.find(([start]) => head.startsWith(start));
  if (found) return { what: found[1], advice: found[2] };
  // Eight bytes with the length of what is in braces.
  const isModel = bytes[8] === 0x7b && bytes[5] === 0 && bytes[6] === 0 && bytes[7] === 0;
  return isModel
    ? { what: "a model's file, safetensors", advice: "the table comes after the model" }
    : undefined;
}

const parses = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

/**
 * A text that has a form of its own.
 *
 * @param begin the text, or as much of it as is looked at
 */
export function textKind(begin: string): Foreign | undefined {
  const text = begin.replace(/^\ufeff/, "").trim();
  if (/^<(?:!doctype\s+html|html|head|body|table|div|script|meta|title|p|h1)\b/i.test(text)) {
    return {
      what: "an HTML page",
      advice: "look at the address that it came from: a link to the raw file is due",
    };
  }
  if (/^<(?:\?xml|!--|!doctype|[a-z][\w:-]*(?:\s[^<>]*)?>[\s\S]*<\/)/i.test(text)) {
    return { what: "XML", advice: CONVERT };
  }
  const [line = ""] = text.split(/\r?\n/, 1);
  const isJson =
    /^(?:\{\s*"(?:[^"\\]|\\.)*"\s*:|\[\s*[[{]\s*(?:["[{]|-?\d))/.test(text) ||
    (/^[[{]/.test(text) && (parses(line) || parses(text)));
  return isJson ? { what: "JSON", advice: CONVERT } : undefined;
}
