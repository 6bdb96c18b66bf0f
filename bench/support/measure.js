// @ts-check
// How everything here is timed: warm up until no longer getting faster, then interleave the contenders round by
// round. Ratios are taken within a round, where both saw the same machine.

/**
 * @typedef {object} Timed
 * @property {string} name
 * @property {(repeats: number) => Promise<number>} time Seconds that so many calls took
 *
 * @typedef {object} Profile
 * @property {number} warm Seconds of short calls before anything counts, for each contender
 * @property {number} sample Seconds of one sample
 * @property {number} rounds At most
 * @property {number} budget Seconds for all rounds of one race, but never fewer than five rounds
 *
 * @typedef {{ median: number, best: number, times: number[] }} Figure Seconds a call
 * @typedef {{ median: number, low: number, high: number }} Spread Median and quartiles
 */

/** @type {Record<"full" | "quick", Profile>} */
export const profiles = {
  full: { warm: 0.3, sample: 0.02, rounds: 31, budget: 8 },
  quick: { warm: 0.04, sample: 0.004, rounds: 9, budget: 0.5 },
};

const MIN_ROUNDS = 5;

/**
 * Times a synchronous call.
 *
 * @param {() => unknown} call
 */
export function local(call) {
  return async (/** @type {number} */ repeats) => {
    const start = performance.now();
    for (let i = 0; i < repeats; i++) call();
    return (performance.now() - start) / 1000;
  };
}

/**
 * Times a call that returns a promise.
 *
 * @param {() => Promise<unknown>} call
 */
export function localAsync(call) {
  return async (/** @type {number} */ repeats) => {
    const start = performance.now();
    for (let i = 0; i < repeats; i++) await call();
    return (performance.now() - start) / 1000;
  };
}

/**
 * V8 replaces a wasm function by its optimised self between calls, some time after many of them: it compiles meanwhile,
 * on another thread. So: short batches for at least `warm` seconds, the last third of which brought no more speed.
 *
 * @param {Timed} contender
 * @param {Pick<Profile, "warm" | "sample">} profile
 * @returns {Promise<number>} Seconds a call
 */
export async function warmUp({ time }, { warm, sample }) {
  let best = await time(1);
  let spent = best;
  let calls = 1;
  let improved = spent;
  const isWarm = () => spent >= warm && spent - improved >= warm / 3;
  while (calls < 5 || (!isWarm() && spent < 5 * Math.max(warm, 2 * best))) {
    const repeats = Math.max(1, Math.floor(sample / 2 / best));
    const seconds = await time(repeats);
    spent += seconds;
    calls += repeats;
    if (seconds / repeats < 0.97 * best) improved = spent;
    best = Math.min(best, seconds / repeats);
  }
  return best;
}

/**
 * @param {Timed[]} contenders
 * @param {Profile} profile
 * @returns {Promise<Record<string, Figure>>}
 */
export async function race(contenders, profile) {
  const repeats = [];
  let roundSeconds = 0;
  for (const contender of contenders) {
    const seconds = await warmUp(contender, profile);
    const count = Math.max(1, Math.round(profile.sample / seconds));
    repeats.push(count);
    roundSeconds += count * seconds;
  }
  const affordable = Math.floor(profile.budget / roundSeconds);
  const rounds = Math.max(MIN_ROUNDS, Math.min(profile.rounds, affordable));
  /** @type {number[][]} */
  const times = contenders.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (let k = 0; k < contenders.length; k++) {
      const i = (k + round) % contenders.length; // nobody always runs after the same neighbour
      times[i].push((await contenders[i].time(repeats[i])) / repeats[i]);
    }
  }
  return Object.fromEntries(contenders.map(({ name }, i) => [name, figure(times[i])]));
}

/**
 * @param {number[]} times
 * @returns {Figure}
 */
export function figure(times) {
  return { median: quantile(times, 0.5), best: Math.min(...times), times };
}

/**
 * How many times as long `slow` takes as `fast`, round by round.
 *
 * @param {Figure} slow
 * @param {Figure} fast
 * @returns {Spread}
 */
export function ratio(slow, fast) {
  const values = slow.times.map((time, round) => time / fast.times[round]);
  return {
    median: quantile(values, 0.5),
    low: quantile(values, 0.25),
    high: quantile(values, 0.75),
  };
}

/**
 * @param {number[]} values
 * @param {number} q
 */
export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  const position = q * (sorted.length - 1);
  const below = Math.floor(position);
  const above = Math.ceil(position);
  return sorted[below] + (position - below) * (sorted[above] - sorted[below]);
}
