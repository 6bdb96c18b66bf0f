// `lamella bench` times functions by this: each is called until it no longer gets faster, and then
// they take turns, round by round, so that all run on the same machine at the same time.

export interface Timed {
  name: string;
  call: () => void;
}

/** The seconds that a call took in each round. */
export type Times = Map<string, number[]>;

/** One sample takes this many seconds. */
const SAMPLE = 0.02;

function time(call: () => void, repeats: number): number {
  const start = performance.now();
  for (let i = 0; i < repeats; i++) call();
  return (performance.now() - start) / 1000;
}

/**
 * Calls a function until it gets no faster, as V8 optimises a function of WebAssembly some time
 * after many calls. Returns the seconds of one call.
 */
function warmUp({ call }: Timed, seconds: number): number {
  let best = time(call, 1);
  for (let spent = best; spent < seconds; ) {
    const repeats = Math.max(1, Math.floor(SAMPLE / 4 / best));
    const taken = time(call, repeats);
    spent += taken;
    best = Math.min(best, taken / repeats);
  }
  return best;
}

/** @param seconds the time for all; a third of it warms up, and there are at least three rounds */
export function measure(timed: readonly Timed[], seconds: number): Times {
  const repeats = timed.map((one) => {
    const best = warmUp(one, seconds / 3 / timed.length);
    return Math.max(1, Math.floor(SAMPLE / Math.max(best, 1e-9)));
  });
  const times: Times = new Map(timed.map(({ name }) => [name, []]));
  const end = performance.now() + ((1000 * seconds) / 3) * 2;
  for (let round = 0; round < 3 || performance.now() < end; round++) {
    for (let k = 0; k < timed.length; k++) {
      const i = (k + round) % timed.length; // none always runs after the same neighbour
      const { name, call } = timed[i] as Timed;
      const count = repeats[i] as number;
      times.get(name)?.push(time(call, count) / count);
    }
  }
  return times;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[half] as number)
    : ((sorted[half - 1] as number) + (sorted[half] as number)) / 2;
}
