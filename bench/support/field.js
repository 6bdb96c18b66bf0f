// @ts-check
// The contenders for one piece of work, each with a result that has been checked.

import { warmUp } from "./measure.js";
import { checkClose, uniform } from "./numbers.js";

/**
 * What every question gets.
 *
 * @typedef {object} Context
 * @property {import("../contenders/index.js").Participant[]} participants Lamella first
 * @property {import("./measure.js").Profile} profile
 * @property {boolean} quick
 * @property {{ strict: import("./limits-core.js").LimitsCore, relaxed: import("./limits-core.js").LimitsCore | null }} limits
 * @property {string[]} failures What was wrong; any makes the run fail
 *
 * @typedef {import("../contenders/index.js").Contender} Contender
 */

/**
 * Those who take part and whose result is Lamella's own; whoever differs is a failure and does not start.
 *
 * @param {Context} context
 * @param {string} what
 * @param {(participant: import("../contenders/index.js").Participant) => Contender | Promise<Contender> | null | undefined} make
 * @param {number} tolerance Of the greatest magnitude in the result
 * @param {(contender: Contender) => Promise<Float32Array>} observe
 */
export async function field(
  { participants, failures },
  what,
  make,
  tolerance,
  observe = async (contender) => contender.result(),
) {
  /** @type {Contender[]} */
  const contenders = [];
  /** @type {Float32Array | undefined} */
  let expected;
  for (const participant of participants) {
    const title = `${what}, ${participant.name}`;
    try {
      const contender = await make(participant);
      if (!contender) continue;
      const result = await observe(contender);
      expected ??= result;
      checkClose(title, result, expected, tolerance);
      contenders.push(contender);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      failures.push(message.startsWith(title) ? message : `${title}: ${message}`);
    }
  }
  return contenders;
}

/** @param {Contender[]} contenders */
export async function disposeAll(contenders) {
  for (const contender of contenders) await contender.dispose();
}

/**
 * The big modules of some peers take V8 seconds to optimise, and nobody is to be measured before that: each product
 * runs for a while before the first question.
 *
 * @param {Context} context
 */
export async function wakeAll(context) {
  const n = 128;
  const [x, w, dout] = [1, 2, 3].map((seed) => uniform(n * n, seed));
  const work = { M: n, N: n, K: n, direction: /** @type {const} */ ("forward"), x, w, dout };
  const contenders = await field(context, "the first product", (p) => p.product?.(work), 1e-5);
  const { warm, sample } = context.profile;
  for (const contender of contenders) await warmUp(contender, { warm: 15 * warm, sample });
  await disposeAll(contenders);
}
