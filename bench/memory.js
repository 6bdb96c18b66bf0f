// @ts-check
// Does training leak?

import { runtime, strict, training } from "./contenders/lamella.js";
import { trainingOf } from "./support/networks.js";

const STEPS = 100_000;

/** @param {import("./support/field.js").Context} context */
export async function run({ quick, failures }) {
  const steps = quick ? STEPS / 10 : STEPS;
  const contender = training(strict, trainingOf([64, 32, 16, 4], 8));
  await contender.time(1);
  const first = runtime.memory.bytesLive;
  await contender.time(steps - 1);
  const last = runtime.memory.bytesLive;
  contender.dispose();
  if (first !== last) failures.push(`memory: ${first} bytes live after one step, ${last} at last`);
  console.log(`\nBytes live after one train step ${first}, after ${steps} ${last}`);
  return { steps, first, last };
}
