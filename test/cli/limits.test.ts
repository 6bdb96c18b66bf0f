// What a file of data may cost: limits by name, and work in proportion to what is there.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { truncateSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { checkHeader, openTable } from "../../src/cli/csv.ts";
import { readQuestions, readTraining } from "../../src/cli/data.ts";
import { limits } from "../../src/cli/files.ts";
import { RowLimits } from "../../src/cli/row_limits.ts";
import { writeSafetensors } from "../../src/index.ts";
import { environment } from "../package/installed.ts";
import { searchedIn } from "../support/searched.ts";
import { Folder, idx, iris, outcome, program } from "./command.ts";

const folder = new Folder();
afterAll(() => folder.remove());

/** Many members of gzip are one file, which unpacks to `count` times the text. */
const repeated = (text: string, count: number) => {
  const member = gzipSync(text);
  return Buffer.concat(Array.from({ length: count }, () => member));
};
const MIB = 2 ** 20;

/** The most memory that a command had, in MiB, beside how it ended. */
async function withPeak(...args: string[]) {
  const tell = 'process.on("exit", () => console.error("peak", process.resourceUsage().maxRSS))';
  const child = spawn(
    process.execPath,
    ["--import", `data:text/javascript,${encodeURIComponent(tell)}`, program, ...args],
    { cwd: folder.path, env: environment() },
  );
  child.stdin?.end();
  const { stdout, stderr, code } = await outcome(child);
  const [, error, peak] = /^([\s\S]*)peak (\d+)\n$/.exec(stderr) ?? [];
  return { stdout, stderr: error, code, peak: Number(peak) / 1024 };
}

describe("a file of data beyond a limit is refused by the name of the option", () => {
  folder.write("wide.csv", `${Array.from({ length: 9 }, (_, i) => `c${i}`)}\n1,2,3,4,5,6,7,8,a\n`);
  folder.write("long.csv", `a,b\n${"1,x\n2,y\n".repeat(5)}`);
  folder.write("cell.csv", `a,b\n1,"${"x\n".repeat(60)}"\n`);
  folder.write("packed.gz", gzipSync(`a,b\n${"1,x\n2,y\n".repeat(50)}`));
  folder.write("t-images-idx3-ubyte.gz", gzipSync(idx([2, 10, 10], new Uint8Array(200))));
  folder.write("t-labels-idx1-ubyte", idx([2], [0, 1]));
  test.concurrent.each<[string[], string]>([
    [["wide.csv", "--max-columns", "8"], "wide.csv, row 1: has more than 8 columns; --max-columns"],
    [["long.csv", "--max-rows", "9"], "long.csv: has more than 9 rows; --max-rows"],
    [["long.csv", "--max-cells", "19"], "long.csv: has more than 19 cells; --max-cells"],
    [
      ["cell.csv", "--max-row-bytes", "100"],
      "cell.csv, row 2: has more than 100 bytes; --max-row-bytes",
    ],
    [
      ["t-images-idx3-ubyte.gz", "--max-rows", "1"],
      "t-images-idx3-ubyte.gz: has more than 1 examples; --max-rows",
    ],
    [["long.csv", "--max-bytes", "43"], "long.csv: has more than 43 bytes; --max-bytes"],
    [
      ["packed.gz", "--max-bytes", "403"],
      "packed.gz: has more than 403 bytes when unpacked; --max-bytes",
    ],
    [
      ["t-images-idx3-ubyte.gz", "--max-bytes", "200"],
      "t-images-idx3-ubyte.gz: has more than 200 bytes when unpacked; --max-bytes",
    ],
  ])("%j names the option", async (args, message) => {
    expect(await folder.lamella("train", ...args)).toEqual({
      stdout: "",
      stderr: `lamella train: ${message} raises this limit\n`,
      code: 1,
    });
  });

  test("at its limits a file is read", async () => {
    const options = ["--max-rows", "10", "--max-cells", "22", "--max-columns", "2"];
    const { stderr, code } = await folder.lamella(
      ...["train", "long.csv", "--quiet", "--epochs", "1", "--max-bytes", "44"],
      ...options,
    );
    expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
  });

  test("help names every limit with its value", async () => {
    for (const command of ["train", "predict"]) {
      const help = await folder.succeeding(command, "--help");
      for (const [limit, value] of Object.entries(limits)) {
        const option = limit.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
        expect(help).toMatch(new RegExp(`--${option} <n>[^-]*\\(default:\\s+${value}\\)`));
      }
    }
  });
});

describe("two megabytes of gzip cost no gigabytes", () => {
  test("where they unpack to two gigabytes of rows", async () => {
    folder.write("bomb.csv.gz", repeated("1,2\n".repeat(4 * MIB), 128));
    const { stdout, stderr, code, peak } = await withPeak("train", "bomb.csv.gz", "--no-header");
    expect({ stdout, code }).toEqual({ stdout: "", code: 1 });
    expect(stderr).toBe(
      "lamella train: bomb.csv.gz: has more than 1073741824 bytes when unpacked; --max-bytes raises this limit\n",
    );
    expect(peak).toBeLessThan(400);
  }, 60_000);

  test("where they are one cell of 200 MB", async () => {
    folder.write(
      "cell.csv.gz",
      Buffer.concat([gzipSync('a,b\n1,"'), repeated("x".repeat(MIB), 200)]),
    );
    const { stdout, stderr, code } = await withPeak("train", "cell.csv.gz");
    expect({ stdout, code }).toEqual({ stdout: "", code: 1 });
    expect(stderr).toBe(
      "lamella train: cell.csv.gz, row 2: has more than 16777216 bytes; --max-row-bytes raises this limit\n",
    );
  }, 60_000);
});

test("a file that is too long by its size is not read", async () => {
  folder.write("sparse.csv", "");
  truncateSync(join(folder.path, "sparse.csv"), 1.5 * 2 ** 30);
  const { stdout, stderr, code, peak } = await withPeak("train", "sparse.csv");
  expect({ stdout, code }).toEqual({ stdout: "", code: 1 });
  expect(stderr).toBe(
    "lamella train: sparse.csv: has more than 1073741824 bytes; --max-bytes raises this limit\n",
  );
  expect(peak).toBeLessThan(200);
  truncateSync(join(folder.path, "sparse.csv"), 2 ** 31 + 1);
  for (const args of [
    ["inspect", "sparse.csv"],
    ["predict", "sparse.csv", "long.csv"],
  ]) {
    const refused = await withPeak(...args);
    expect(refused).toMatchObject({ stdout: "", code: 1 });
    expect(refused.stderr).toContain("sparse.csv: is larger than 2 GiB, and no such model is read");
    expect(refused.peak).toBeLessThan(200);
  }
});

describe("a model of a hundred bytes costs no more than the data that it is asked about", () => {
  const claiming = (input: number[], layers: object[]) =>
    writeSafetensors([], {
      ...{ format: "lamella", kind: "model", version: "1", weight_layout: "in,out" },
      architecture: JSON.stringify({ input, dtype: "float32", layers }),
    });

  test.each([[[200_000_000]], [[1e15]], [[1e5, 1e5, 1e5]]])(
    "where it claims to take examples of shape %j",
    async (input) => {
      folder.write("claims.safetensors", claiming(input, [{ kind: "relu" }]));
      const { stderr, code, peak } = await withPeak("predict", "claims.safetensors", "long.csv");
      expect(stderr).toBe(
        "lamella predict: the model: has more than 1000000 inputs, of which a row has a column each; --max-columns raises this limit\n",
      );
      expect(code).toBe(1);
      expect(peak).toBeLessThan(200);
    },
  );

  test("where its scores are more than the cells that a table may have", async () => {
    folder.write("relu.safetensors", claiming([2], [{ kind: "relu" }]));
    folder.write("ten.csv", "1,2\n".repeat(10));
    const args = ["predict", "relu.safetensors", "ten.csv", "--no-header", "--max-cells"];
    expect(await folder.lamella(...args, "20")).toMatchObject({ code: 0 });
    const one = ["predict", "relu.safetensors", "t-images-idx3-ubyte.gz", "--max-cells"];
    folder.write("relu.safetensors", claiming([100], [{ kind: "relu" }]));
    expect(await folder.lamella(...one, "200")).toMatchObject({ code: 0 });
    expect(await folder.lamella(...one, "199")).toEqual({
      stdout: "",
      stderr:
        "lamella predict: t-images-idx3-ubyte.gz: has more than 199 scores; --max-cells raises this limit\n",
      code: 1,
    });
  });
});

describe("answers are printed as they are made", () => {
  const count = 300_000;
  folder.write("many.csv", "1,2\n".repeat(count));
  const model = () =>
    folder.write(
      "two.safetensors",
      writeSafetensors([], {
        ...{ format: "lamella", kind: "model", version: "1", weight_layout: "in,out" },
        architecture: '{"input":[2],"dtype":"float32","layers":[{"kind":"relu"}]}',
      }),
    );

  test("to a reader who takes them slowly", async () => {
    model();
    const child = folder.start("predict", "two.safetensors", "many.csv", "--no-header");
    child.stdout?.pause();
    let text = "";
    child.stdout?.on("readable", () => {
      const part = child.stdout?.read();
      if (part) text += part;
    });
    const [code] = await once(child, "close");
    expect(code).toBe(0);
    expect(text).toBe(`value_0,value_1\n${"1,2\n".repeat(count)}`);
  });

  test("and to nobody once the reader has left", async () => {
    model();
    for (const more of [[], ["--json"]]) {
      const child = folder.start("predict", "two.safetensors", "many.csv", "--no-header", ...more);
      child.stdout?.once("data", () => child.stdout?.destroy());
      const ended = outcome(child);
      expect(await ended).toMatchObject({ stderr: "", code: 0 });
    }
  });

  test("as JSON they are the document that JSON.stringify makes of the whole", async () => {
    model();
    folder.write("few.csv", "1,2\n0.5,1e9\n");
    for (const name of ["few.csv", "many.csv"]) {
      const args = ["predict", "two.safetensors", name, "--no-header", "--json"];
      const text = await folder.succeeding(...args);
      const { predictions } = JSON.parse(text);
      expect(text).toBe(`${JSON.stringify(JSON.parse(text), null, 2)}\n`);
      expect(predictions).toHaveLength(name === "few.csv" ? 2 : count);
    }
  });
});

test("a source without an end is read up to the limit and no further", async () => {
  const { stderr, code } = await folder.lamella("train", "/dev/zero", "--max-bytes", "1000000");
  expect(stderr).toBe(
    "lamella train: /dev/zero: has more than 1000000 bytes; --max-bytes raises this limit\n",
  );
  expect(code).toBe(1);
  const child = folder.start("train", "-", "--max-bytes", "1000000");
  child.stdin?.on("error", () => {}); // the command stops to read
  const feed = () => {
    while (child.stdin?.write("1,2,3\n".repeat(10_000)));
  };
  child.stdin?.on("drain", feed);
  feed();
  expect(await outcome(child)).toMatchObject({
    stderr:
      "lamella train: the standard input: has more than 1000000 bytes; --max-bytes raises this limit\n",
    code: 1,
  });
});

test("a header is checked in reads that grow with its columns alone", () => {
  const names = Array.from({ length: 20_000 }, (_, i) => `column${i}`);
  let reads = 0;
  const counted = new Proxy(names, {
    get(target, key) {
      reads++;
      return Reflect.get(target, key);
    },
  });
  checkHeader(counted, "t");
  expect(reads).toBeLessThan(10 * names.length);
  names.push("column7");
  expect(() => checkHeader(names, "t")).toThrow('t: two columns are called "column7"');
});

test.each([
  ["of three thousand columns", ""],
  ["with a thousand empty columns at its end", ",".repeat(1000)],
])("a table %s is read in searches that grow with its columns alone", async (_, end) => {
  const count = 3000;
  const names = Array.from({ length: count }, (_, i) => `column${i}`);
  const row = (value: number) => names.map((_, i) => value + i / 8);
  const at = (name: string) => join(folder.path, name);
  folder.write("many.csv", `${names},label${end}\n${row(1)},a${end}\n${row(2)},b${end}\n`);
  const reversed = [...names].reverse();
  folder.write("other.csv", `${reversed}${end}\n${row(1)}${end}\n${row(2)}${end}\n`);
  folder.write("nameless.csv", `${row(1)}${end}\n${row(2)}${end}\n`);
  let table: Awaited<ReturnType<typeof readTraining>>["table"];
  const most = 100 * (count + end.length);
  expect(
    await searchedIn(async () => {
      ({ table } = await readTraining(at("many.csv"), {}));
    }),
  ).toBeLessThan(most);
  for (const name of ["many.csv", "other.csv", "nameless.csv"]) {
    const read = () => readQuestions(at(name), {}, [count], table);
    expect(await searchedIn(read)).toBeLessThan(most);
  }
});

describe("rows and cells are counted as the parser makes them", () => {
  const ends = ["\r\n", "\n", "\r"];
  test.each(ends.flatMap((first) => ends.map((other) => [first, other])))(
    "in a table whose first line ends with %j and the others with %j",
    (first, other) => {
      const bytes = new TextEncoder().encode(`a,b${first}${`1,"2"${other}`.repeat(150)}`);
      const widths: number[] = [];
      openTable(bytes, "t", { maxRows: 150 }).each((cells) => void widths.push(cells.length));
      expect(widths).toEqual(Array(151).fill(2));
      expect(() => openTable(bytes, "t", { maxRows: 149 })).toThrow("t: has more than 149 rows");
    },
  );

  const count = (text: string, delimiter: string, given: object, size: number) => {
    const guard = new RowLimits("t", delimiter, given);
    const bytes = new TextEncoder().encode(text);
    for (let i = 0; i < bytes.length; i += size) guard.check(bytes.subarray(i, i + size));
  };
  test.each<[string, string, number, number]>([
    ["a,b\r\n1,2\r\n3,4\r\n", ",", 2, 2],
    ['a;"b;c\nd;e"\n1;2\n', ";", 1, 2],
    ['a,"b""c,d"\n1,2\n\n\n3,4\n', ",", 2, 2],
    ["a,b\r1,2\r3,4\r", ",", 2, 2],
    ["a、b、c\n1、2、3\n", "、", 1, 3],
    ["\n\na\tb\n1\t2\n", "\t", 1, 2],
  ])("%j", (text, delimiter, rows, columns) => {
    for (const size of [1, 2, 3, 7, 1000]) {
      const fits = { maxRows: rows, maxColumns: columns, maxCells: (rows + 1) * columns };
      expect(() => count(text, delimiter, fits, size)).not.toThrow();
      for (const [limit, most] of Object.entries(fits)) {
        const given = { ...fits, [limit]: most - 1 };
        expect(() => count(text, delimiter, given, size)).toThrow(/raises this limit/);
      }
    }
  });
});

test("gzip that is cut is no whole gzip", async () => {
  const { readFileSync } = await import("node:fs");
  folder.write("cut.gz", gzipSync(readFileSync(iris)).subarray(0, 500));
  const { stderr, code } = await folder.lamella("train", "cut.gz");
  expect(stderr).toBe("lamella train: cut.gz: not whole as gzip: unexpected end of file\n");
  expect(code).toBe(1);
});
