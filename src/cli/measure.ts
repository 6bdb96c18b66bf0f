// How bench times: everything is called until it no longer gets faster, and then takes turns, round
// by round, so that all see the same machine.

export interface Timed {
  name: string;
  call: () => void;
}

/** Seconds a call, of each round. */
export type Times = Map<string, number[]>;

/** Of one sample. */
const SAMPLE = 0.02;

function time(call: () => void, repeats: number): number {
  const start = performance.now();
  for (let i = 0; i < repeats; i++) call();
  return (performance.now() - start) / 1000;
}

/**
 * V8 optimises a function of WebAssembly between calls, some time after many of them. Seconds a
 * call.
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

/** @param seconds for all; a third of them to warm up, and three rounds at least */
export function measure(timed: readonly Timed[], seconds: number): Times {
  const repeats = timed.map((one) => {
    const best = warmUp(one, seconds / 3 / timed.length);
    return Math.max(1, Math.floor(SAMPLE / Math.max(best, 1e-9)));
  });
  const times: Times = new Map(timed.map(({ name }) => [name, []]));
  const end = performance.now() + ((1000 * seconds) / 3) * 2;
  for (let round = 0; round < 3 || performance.now() < end; round++) {
    for (let k = 0; k < timed.length; k++) {
      const i = (k + round) % timed.length; // nobody always runs after the same neighbour
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
