import { afterAll, describe, expect, test } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { Folder, iris } from "./command.ts";

const folder = new Folder();
afterAll(() => folder.remove());
folder.write("numbers.csv", "1,2\n3,4\n");
folder.write("twice.csv", "a,a\n1,2\n");
folder.write("prices.csv", "area,price\n1,1.5\n2,2.5\n");
folder.write("one.csv", "a,b\n1,x\n2,x\n");
folder.write("short.csv", "a,b,c\n1,2,x\n1\n");
folder.write("long.csv", "a,b,c\n1,2,x\n1,2,y,z\n");
folder.write("text.csv", "a,b,c\n1,2,x\n1,red,y\n");
folder.write("empty.csv", "");
folder.write("head.csv", "a,b\n");
folder.write("binary", Uint8Array.of(1, 0, 0, 0, 2));
folder.write("escape.csv", 'a,b\n"\x1b[2J",x\n');

describe("help", () => {
  test("of the whole names every command, examples and the exit codes", async () => {
    const { stdout, stderr, code } = await folder.lamella("--help");
    expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
    for (const command of ["inspect", "train", "predict", "bench"]) {
      expect(stdout).toContain(`\n  ${command} `);
      expect(stdout).toContain(`\n  lamella ${command}`);
    }
    expect(stdout).toMatch(/Exit codes: 0 done, 1 failed, 2 .* 130 interrupted/);
  });

  test.concurrent.each(["inspect", "train", "predict", "bench"])(
    "of %s has examples",
    async (command) => {
      const { stdout, code } = await folder.lamella(command, "--help");
      expect(code).toBe(0);
      expect(stdout).toMatch(new RegExp(`^Usage: lamella ${command} .*\n\n(.+\n)+\n`));
      expect(stdout).toMatch(new RegExp(`\nExamples:\n(  .*lamella ${command} ?.*\n)+`));
    },
  );

  test("without a command is on the standard error, with code 2", async () => {
    const { stdout, stderr, code } = await folder.lamella();
    expect({ stdout, code }).toEqual({ stdout: "", code: 2 });
    expect(stderr).toMatch(/^Usage: lamella/);
    expect(stderr.match(/Usage:/g)).toHaveLength(1);
  });

  test("--version is the package's", async () => {
    expect(await folder.lamella("--version")).toEqual({
      stdout: `${manifest.version}\n`,
      stderr: "",
      code: 0,
    });
  });
});

describe("a refusal is one line that names what is wrong, and a code", () => {
  test.concurrent.each<[string[], number, string]>([
    [["trian"], 2, "lamella: unknown command 'trian' (Did you mean train?)"],
    [["train"], 2, "lamella train: missing required argument 'data'"],
    [
      ["train", iris, "--epoch", "3"],
      2,
      "lamella train: unknown option '--epoch' (Did you mean --epochs?)",
    ],
    // By its letters, --l2 would be the nearest.
    ...["--lr", "--lr=0.1"].map((option): [string[], number, string] => [
      ["train", iris, option, "0.1"],
      2,
      `lamella train: unknown option '${option}' (its name here is --learning-rate)`,
    ]),
    [
      ["train", iris, "--batch_size", "4"],
      2,
      "lamella train: unknown option '--batch_size' (its name here is --batch)",
    ],
    [["predict", "x", iris, "--lr", "1"], 2, "lamella predict: unknown option '--lr'"],
    [
      ["train", iris, "--epochs", "0"],
      2,
      "lamella train: --epochs 0: expected a whole number from 1 to 1000000",
    ],
    [
      ["train", iris, "--delimiter", '"'],
      2,
      'lamella train: --delimiter ": expected one character, or tab',
    ],
    [
      ["train", iris, "--validation", "1"],
      2,
      "lamella train: --validation 1: expected a number from 0 up to, not including, 1",
    ],
    [
      ["train", iris, "--optimizer", "adm"],
      2,
      "lamella train: --optimizer adm: expected one of adam, adamw, sgd, momentum, nesterov, rmsprop",
    ],
    [
      ["train", iris, "--layers", "64,32,relu"],
      2,
      "lamella train: --layers 64,32,relu: layer 2 (32) follows 64 without an activation: write 64,relu,32,relu",
    ],
    [
      ["train", iris, "--layers", "64"],
      2,
      "lamella train: --layers 64: 64 at the end needs an activation: write 64,relu (the output layer comes after it)",
    ],
    [
      ["train", iris, "--layers", "64,rleu"],
      2,
      'lamella train: --layers 64,rleu: layer 2 is "rleu", expected a number of units or one of elu, gelu, hardsigmoid, hardswish, leakyrelu, mish, prelu, relu, relu6, selu, sigmoid, silu, softplus, softsign, tanh, batchnorm, dropout, avgpool, conv, globalpool, pool',
    ],
    [
      ["train", iris, "--layers", "8,relu:1"],
      2,
      'lamella train: --layers 8,relu:1: layer 2 is "relu:1", expected relu alone',
    ],
    [
      ["train", iris, "--layers", "8,relu,dropout:1"],
      2,
      'lamella train: --layers 8,relu,dropout:1: layer 3 is "dropout:1", expected dropout:… with a probability from 0 up to, not including, 1',
    ],
    ...["16", "16x0", "x5", "16x5x3x1", "16x65537", "16x5:some", "16x5:same:same", "16x5:"].map(
      (sizes): [string[], number, string] => [
        ["train", iris, "--layers", `conv:${sizes},relu`],
        2,
        `lamella train: --layers conv:${sizes},relu: layer 1 is "conv:${sizes}", expected conv:16x5 or conv:16x5:same: filters and the side of each, from 1 to 65536`,
      ],
    ),
    ...["pool", "pool:2x2x2", "pool:1.5"].map((text): [string[], number, string] => [
      ["train", iris, "--layers", text],
      2,
      `lamella train: --layers ${text}: layer 1 is "${text}", expected pool:2 or pool:2:same: the side of a window, from 1 to 65536`,
    ]),
    [
      ["train", iris, "--layers", "globalpool:2"],
      2,
      'lamella train: --layers globalpool:2: layer 1 is "globalpool:2", expected globalpool alone',
    ],
    [
      ["train", iris, "--layers", "conv:16x5,batchnorm,avgpool:2,32,relu"],
      2,
      "lamella train: --layers conv:16x5,batchnorm,avgpool:2,32,relu: layer 4 (32) follows conv:16x5 without an activation: write conv:16x5,relu,32,relu",
    ],
    [
      ["train", iris, "--layers", "conv:16x5:same"],
      2,
      "lamella train: --layers conv:16x5:same: conv:16x5:same at the end needs an activation: write conv:16x5:same,relu (the output layer comes after it)",
    ],
    [["train", iris, "--preset", "mlp"], 2, "lamella train: --preset mlp: expected one of cnn"],
    [["train", "none.csv"], 1, "lamella train: none.csv: no such file"],
    [["train", "."], 1, "lamella train: .: is a folder, expected a file"],
    [["train", iris, "--out", "no/where"], 1, "lamella train: --out: there is no folder no"],
    [["train", iris, "--out", "."], 1, "lamella train: --out: . is a folder"],
    [["train", "empty.csv"], 1, "lamella train: empty.csv: has no lines"],
    [
      ["train", "head.csv"],
      1,
      "lamella train: head.csv: has a header, but no line of data below it",
    ],
    [
      ["train", "binary"],
      1,
      "lamella train: binary: neither a table nor IDX: it has zero bytes, as no text has",
    ],
    [["train", "twice.csv"], 1, 'lamella train: twice.csv: two columns are called "a"'],
    [
      ["train", "one.csv"],
      1,
      'lamella train: column "b" of one.csv is "x" in every row, and telling classes apart takes two',
    ],
    [
      ["train", "numbers.csv"],
      2,
      "lamella train: numbers.csv: the first line holds numbers alone: --no-header if it is data, --header if these are names",
    ],
    [
      ["train", "prices.csv"],
      2,
      'lamella train: column "price" of prices.csv holds fractions, such as 1.5: --loss mse learns values; --loss softmax takes each for a class',
    ],
    [
      ["train", "one.csv", "--loss", "mse"],
      2,
      'lamella train: --loss mse: column "b" of one.csv holds "x", expected numbers; without it, they are classes',
    ],
    [
      ["train", "short.csv"],
      1,
      'lamella train: short.csv, line 3: expected 3 cells, got 1: nothing for column "b"',
    ],
    [
      ["train", "long.csv"],
      1,
      'lamella train: long.csv, line 3: expected 3 cells, got 4: "z" stands after the last column, "c"',
    ],
    [
      ["train", "text.csv"],
      1,
      'lamella train: text.csv, line 3: column "b" has "red", expected a number (--drop "b" leaves the column out)',
    ],
    [
      ["train", "one.csv", "--label", "B"],
      2,
      'lamella train: --label: one.csv has no column "B"; it has "a", "b"',
    ],
    [
      ["train", "one.csv", "--labels", "b"],
      2,
      "lamella train: --labels is for IDX, and one.csv is a table: --label names one of its columns",
    ],
    [
      ["train", "escape.csv"],
      1,
      'lamella train: escape.csv, line 2: column "a" has "\\u{1b}[2J", expected a number (--drop "a" leaves the column out)',
    ],
    [
      ["bench", "--seconds", "0"],
      2,
      "lamella bench: --seconds 0: expected a whole number from 1 to 600",
    ],
  ])("%j", async (args, code, message) => {
    expect(await folder.lamella(...args)).toEqual({ stdout: "", stderr: `${message}\n`, code });
  });

  test.each(["--verbose", "DEBUG"])("with %s it tells where it came from as well", async (how) => {
    const args = ["inspect", "none.safetensors"];
    if (how === "DEBUG") process.env.DEBUG = "1";
    else args.push(how);
    const { stderr, code } = await folder.lamella(...args);
    delete process.env.DEBUG;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^lamella inspect: none.safetensors: no such file\nError: .*\n +at /);
  });
});
