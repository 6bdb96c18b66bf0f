#!/usr/bin/env node
// The command `lamella` has its words, options and help here. Each of its commands is in the file
// of that name.

import process from "node:process";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { encodingOf } from "./encoding.ts";
import { Fault, report, USAGE, visible } from "./fault.ts";
import { type Limits, limits, optionOf } from "./files.ts";
import { examples, parseLayers } from "./layers.ts";
import { answers } from "./predict.ts";
import { watchOutput } from "./terminal.ts";
import { optimizers, presets, schedules, storedTypes } from "./train.ts";

/** Reads a whole number in this range. */
const whole = (least: number, most: number) => (text: string) => {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new InvalidArgumentError(`expected a whole number from ${least} to ${most}`);
};

/** Reads a number for which a condition holds; `expected` says it in words. */
const number = (expected: string, is: (value: number) => boolean) => (text: string) => {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && is(value)) return value;
  throw new InvalidArgumentError(`expected ${expected}`);
};

const threads = (text: string) => (text === "auto" ? text : whole(1, 64)(text));
const list = (text: string, before: string[] = []) => [...before, text];
const separator = (text: string) => {
  const known = text === "\\t" || text === "tab" ? "\t" : text;
  // A character that ends a line or quotes a cell cannot separate cells as well.
  if (/^[^"\r\n]$/.test(known)) return known;
  throw new InvalidArgumentError("expected one character, or tab");
};
const encoding = (label: string) => {
  const known = encodingOf(label);
  if (known) return known;
  throw new InvalidArgumentError("expected an encoding, such as utf-8, windows-1252 or utf-16le");
};

const program = new Command("lamella")
  .description("Small neural networks from the command line: train, ask, look inside, measure.")
  .version(VERSION, "-V, --version", "print the version")
  .helpOption("-h, --help", "show help")
  .enablePositionalOptions()
  .exitOverride() // the commands inherit this and the next
  .configureOutput({ outputError: () => {} }) // the error is printed below
  .addHelpText(
    "after",
    `
Examples:
  lamella train iris.csv                          a table whose last column is the class
  lamella predict model.safetensors new.csv       what it says of new rows
  lamella inspect model.safetensors               layers, tensors, statistics
  lamella bench                                   how fast this machine is

  lamella <command> --help teaches a command, with examples.

Exit codes: 0 done, 1 failed, 2 the command line is wrong, 130 interrupted (Ctrl-C).
With --json the standard output is JSON alone; notes and errors go to the standard error.
NO_COLOR=1 turns colours off; into a pipe or a file there are none.`,
  );

const limitTexts: Record<keyof Limits, string> = {
  maxBytes: "bytes of a file of data, after gzip is unpacked",
  maxRowBytes: "bytes of a row of a table",
  maxColumns: "columns of a table",
  maxRows: "rows of a table, or images",
  maxCells: "cells of a table, its rows times its columns",
};
/** Adds the options for limits of data; larger files are refused. */
const withLimits = (command: Command) => {
  command.optionsGroup("Limits, beyond which data are refused:");
  for (const [limit, text] of Object.entries(limitTexts) as [keyof Limits, string][]) {
    const option = new Option(`${optionOf(limit)} <n>`, text).default(limits[limit]);
    command.addOption(option.argParser(whole(1, 2 ** 31)));
  }
  return command;
};

const withData = (command: Command, label: string) =>
  command
    .optionsGroup("The data:")
    .option("--label <column>", `the column with the label (default: ${label})`)
    .option("--drop <column>", "a column to leave out; may be given more than once", list)
    .option(
      "--labels <file>",
      "IDX: the file with the labels (default: …labels-idx1… beside …images-idx3…)",
    )
    .option("--header", "the first line names the columns (default, unless it looks like data)")
    .option("--no-header", "the first line is data; columns are called 1, 2, …")
    .addOption(
      new Option(
        "--delimiter <character>",
        "what separates columns (default: , ; tab or |, whichever the lines agree on)",
      ).argParser(separator),
    )
    .addOption(
      new Option(
        "--decimal <character>",
        "what stands before the fraction of a number: . or , (default: .)",
      ).choices([".", ","]),
    )
    .addOption(
      new Option(
        "--encoding <name>",
        "how the text is encoded: utf-8, windows-1252, latin1, utf-16le, … (default: UTF-8, UTF-16 where the file says so, and else Windows-1252)",
      ).argParser(encoding),
    );

program
  .command("inspect")
  .summary("layers, shapes, sizes and statistics of a safetensors file")
  .description(
    "Shows what is in a safetensors file, of this package, of PyTorch or of anybody: the layers where the metadata tell of them, and each tensor's dtype, shape, bytes and statistics (over its finite numbers).",
  )
  .argument("<file>", "a safetensors file")
  .option("--json", "print JSON")
  .addHelpText(
    "after",
    `
Examples:
  lamella inspect model.safetensors
  lamella inspect model.safetensors --json | jq '.tensors[] | select(.statistics.nan > 0) | .name'`,
  )
  .action(async (file, options) => {
    const { inspect } = await import("./inspect.ts");
    inspect(file, options);
  });

const training = program
  .command("train")
  .summary("teach a network a table (CSV) or images (IDX)")
  .description(
    "Teaches a network a table (CSV) or images (IDX, as MNIST's files), either of which may be gzip; - is the standard input. The model's file holds everything: layers, weights, normalisation, the names of classes.",
  )
  .argument("<data>", "a CSV or IDX file");
withData(training, "the last")
  .optionsGroup("What becomes of a table's columns:")
  .option(
    "--keep <column>",
    "a column to learn from although it counts the rows; may be given more than once",
    list,
  )
  .option(
    "--category <column>",
    "a column of numbers that are names: one input for each; may be given more than once",
    list,
  )
  .addOption(
    new Option(
      "--max-categories <n>",
      "the most different texts of a column; each gets an input of its own",
    )
      .argParser(whole(2, 10_000))
      .default(50),
  )
  .addOption(
    new Option(
      "--missing <how>",
      "empty cells (also NA, N/A, null and ?): auto: numbers get their mean and an input that tells, texts an input of their own; mean: the mean or the most usual text; drop: their rows are left out; error: they are refused",
    )
      .choices(["auto", "mean", "drop", "error"])
      .default("auto"),
  )
  .optionsGroup("The network and its training:")
  .addOption(
    new Option(
      "--layers <list>",
      `the hidden layers: units, ${examples}; or none; conv:16x5 and the poolings take images (IDX), with :same behind them they are padded to keep the size. The output layer is added (default: 32,relu,32,relu for tables, 128,relu,dropout:0.2 for images)`,
    ).argParser(parseLayers),
  )
  .addOption(
    new Option(
      "--preset <name>",
      `a network and its settings, any of which another option replaces; cnn, for images: ${presets.cnn.layers}, 8 epochs, Adam at 0.002 and a cosine schedule`,
    ).choices(Object.keys(presets)),
  )
  .addOption(
    new Option(
      "--loss <name>",
      "softmax or svm for classes, mse for values (regression) (default: softmax)",
    ).choices(["softmax", "svm", "mse"]),
  )
  .addOption(
    new Option(
      "--class-weights <how>",
      "auto: every class weighs the same, however rare it is (default: every example does)",
    ).choices(["auto"]),
  )
  .addOption(
    new Option("--optimizer <name>", "the update rule")
      .choices(Object.keys(optimizers))
      .default("adam"),
  )
  .addOption(
    new Option(
      "--learning-rate <rate>",
      "how far a step goes (default: adam 0.005 for tables, 0.001 for images; others 0.01)",
    ).argParser(number("a number above 0", (value) => value > 0)),
  )
  .addOption(
    new Option(
      "--schedule <name>",
      "how the rate goes down to 0 over all epochs, if it does (default: constant)",
    ).choices(schedules),
  )
  .addOption(
    new Option("--l2 <lambda>", "weight decay, as a part of the loss")
      .argParser(number("a number from 0 up", (value) => value >= 0))
      .default(0),
  )
  .addOption(
    new Option("--epochs <n>", "times through the data (default: tables 100, images 10)").argParser(
      whole(1, 1_000_000),
    ),
  )
  .addOption(
    new Option("--batch <n>", "examples a step (default: tables 32, images 128)").argParser(
      whole(1, 1_000_000),
    ),
  )
  .addOption(
    new Option(
      "--validation <share>",
      "of the examples, kept aside to check with: the file gets the epoch that did best on them",
    )
      .argParser(number("a number from 0 up to, not including, 1", (v) => v >= 0 && v < 1))
      .default(0.2),
  )
  .addOption(
    new Option("--patience <n>", "end after so many epochs without a better one").argParser(
      whole(1, 1_000_000),
    ),
  )
  .addOption(
    new Option(
      "--seed <n>",
      "of weights, order and split: the same seed gives the same file, to the byte",
    )
      .argParser(whole(0, 2 ** 32 - 1))
      .default(0),
  )
  .optionsGroup("The rest:")
  .option("-o, --out <file>", "where the model goes", "model.safetensors")
  .addOption(
    new Option(
      "--weights <type>",
      "how the file stores the weights: float16 makes it half as large, int8 a quarter; the result is told of what the file holds",
    )
      .choices(storedTypes)
      .default("float32"),
  )
  .option("--force", "replace a file that is there and is no model of lamella's")
  .addOption(
    new Option("--threads <n>", "threads that compute, or auto; the file is the same").argParser(
      threads,
    ),
  )
  .option("--relaxed", "fused multiply-add where the host has it: faster, and other last digits")
  .option("--json", "print a JSON object a line: one for each epoch, and at last the result")
  .option("-q, --quiet", "print the result alone");
withLimits(training)
  .addHelpText(
    "after",
    `
Examples:
  lamella train iris.csv
  lamella train houses.csv --label price --drop id --loss mse
  lamella train wine.csv --layers 64,relu,dropout:0.3,32,relu --epochs 300 --patience 20 --seed 7
  lamella train train-images-idx3-ubyte.gz --threads auto --out digits.safetensors
  lamella train train-images-idx3-ubyte.gz --preset cnn --threads auto

Ctrl-C ends the training and writes the best model so far (exit code 130); twice, it writes nothing.`,
  )
  .action(async (data, options) => {
    const { train } = await import("./train.ts");
    process.exitCode = await train(data, options);
  });

const asking = program
  .command("predict")
  .summary("what a model says of new rows or images")
  .description(
    "Prints what a model says of each row of a table or each image, as CSV. Columns are found by name, in any order; rows without a header have them in the order of the training. With labels there, the share of right answers goes to the standard error.",
  )
  .argument("<model>", "a file that `lamella train` or saveModel wrote")
  .argument("[data]", "a CSV or IDX file, or - for the standard input");
asking.option("-i, --input <file>", "the same as [data]");
withData(asking, "the one of the training, if it is there")
  .optionsGroup("The answers:")
  .addOption(
    new Option(
      "--answer <kind>",
      "class: the class and its probability; probabilities: of all classes; values: what the network puts out (default: class where the model knows classes, else values)",
    ).choices(answers),
  )
  .option("--json", "print JSON")
  .option(
    "--raw-csv",
    "names of classes as they are, also those that a spreadsheet would run as formulas; without it, these have an apostrophe in front",
  );
withLimits(asking)
  .addHelpText(
    "after",
    `
Examples:
  lamella predict model.safetensors new.csv
  lamella predict model.safetensors new.csv --answer probabilities --json
  echo 5.1,3.5,1.4,0.2 | lamella predict model.safetensors -`,
  )
  .action(async (model, data, options) => {
    const { predict } = await import("./predict.ts");
    await predict(model, data, options);
  });

program
  .command("convert")
  .summary("a model of Keras, TensorFlow.js or TFLite as a file of this package")
  .description(
    "Reads a model that another library wrote, Keras (.h5, .keras), TensorFlow.js (model.json with its weights beside it) or TFLite (.tflite), and writes the file that loadModel and lamella/predict read. It then runs both on the same inputs and tells by how much their scores differ.",
  )
  .argument("<model>", "an .h5, .keras, model.json or .tflite")
  .option("-o, --out <file>", "where the model goes", "model.safetensors")
  .addOption(
    new Option(
      "--weights <type>",
      "how the file stores the weights: float16 makes it half as large, int8 a quarter",
    )
      .choices(storedTypes)
      .default("float32"),
  )
  .option("--force", "replace a file that is there and is no model of lamella's")
  .option("--json", "print JSON")
  .addHelpText(
    "after",
    `
Examples:
  lamella convert net.keras -o net.safetensors
  lamella convert web/model.json --weights float16`,
  )
  .action(async (model, options) => {
    const { convert } = await import("./convert.ts");
    await convert(model, options);
  });

program
  .command("bench")
  .summary("this machine against its limits")
  .description(
    "Measures what this machine gives to WebAssembly at most, and how near products, training and single predictions come, with relaxed instructions and threads where there are any.",
  )
  .addOption(
    new Option("--seconds <n>", "how long to measure").argParser(whole(1, 600)).default(10),
  )
  .option("--json", "print JSON")
  .addHelpText(
    "after",
    `
Examples:
  lamella bench
  lamella bench --seconds 60 --json > machine.json`,
  )
  .action(async (options) => {
    const { bench } = await import("./bench.ts");
    await bench(options);
  });

for (const command of [program, ...program.commands]) {
  command
    .optionsGroup("Options:")
    .option(
      "-v, --verbose",
      "with an error, tell where in the program it came from (as DEBUG=1 does)",
    );
}

/** Options have these names elsewhere, to which the letters of another option come nearer. */
const elsewhere: Record<string, string> = {
  "--lr": "--learning-rate",
  "--batch-size": "--batch",
  "--weight-decay": "--l2",
  "--validation-split": "--validation",
  "--early-stopping": "--patience",
  "--random-state": "--seed",
  "--hidden": "--layers",
  "--target": "--label",
  "--output": "--out",
  "--sep": "--delimiter",
  "--separator": "--delimiter",
};

/** Makes an error of commander's one like all others of this command. */
function usage(error: CommanderError): Fault {
  const text = error.message
    .replace(/^(error: unknown option '([^'=]*).*?')[\s\S]*/, (all, start, option) => {
      const ours = elsewhere[option.replaceAll("_", "-")];
      const isHere = known?.options.some(({ long }) => long === ours);
      return ours && isHere ? `${start} (its name here is ${ours})` : all;
    })
    .replace(/^error: /, "")
    .replace(
      /^option '(?:-\w, )?(--[\w-]+).*?' argument '([\s\S]*)' is invalid\. /,
      (_, option, given) => `${option} ${visible(given)}: `,
    )
    .replace(/Allowed choices are (.*)\./, "expected one of $1");
  return new Fault(text, USAGE);
}

const word = process.argv[2];
const known = program.commands.find((command) => command.name() === word);
const name = known ? `lamella ${known.name()}` : "lamella";
const isVerbose =
  process.argv.some((argument) => argument === "--verbose" || argument === "-v") ||
  Boolean(process.env.DEBUG);
watchOutput(name);
try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError && error.exitCode === 0) process.exitCode = 0;
  else if (error instanceof CommanderError) {
    // Without a command the help has been printed.
    if (error.code !== "commander.help") report(name, usage(error), isVerbose);
    process.exitCode = USAGE;
  } else {
    process.exitCode = report(name, error, isVerbose);
  }
}
