// The curve of a training, and what it is at now. All of it follows from the steps alone, not from
// when the page asked, so that a training that is repeated draws the same picture.

/** A curve's points by columns; a NaN where a line has none. */
export interface CurveData {
  steps: Float64Array;
  loss: Float64Array;
  accuracy: Float64Array;
  validationLoss: Float64Array;
  validationAccuracy: Float64Array;
}

/** The steps of one point, and validations among them. */
interface Bucket {
  /** The last of them. */
  step: number;
  count: number;
  loss: number;
  accuracy: number;
  validations: number;
  validationLoss: number;
  validationAccuracy: number;
}

/** Points that are kept; where there are more, neighbours become one. */
const MOST = 512;
/** Steps of one point at first. */
const WIDTH = 4;
/** Steps over which the figures are means. */
const RECENT = 50;

export class Recorder {
  private buckets: Bucket[] = [];
  private width = WIDTH;
  /** The last losses and accuracies, in turn. */
  private recent: [loss: number, accuracy: number][] = [];
  private steps = 0;

  clear(): void {
    this.buckets = [];
    this.width = WIDTH;
    this.recent = [];
    this.steps = 0;
  }

  add(loss: number, accuracy: number): void {
    this.recent[this.steps % RECENT] = [loss, accuracy];
    if (this.steps % this.width === 0) {
      if (this.buckets.length === MOST) this.halve();
      this.buckets.push(emptyBucket());
    }
    this.steps++;
    const bucket = this.buckets.at(-1)!;
    bucket.step = this.steps;
    bucket.count++;
    bucket.loss += loss;
    bucket.accuracy += accuracy;
  }

  /** What the network makes of other examples after the last step. */
  addValidation(loss: number, accuracy: number): void {
    const bucket = this.buckets.at(-1);
    if (!bucket) return;
    bucket.validations++;
    bucket.validationLoss += loss;
    bucket.validationAccuracy += accuracy;
  }

  /** Means over the last steps; undefined before the first. */
  get figures(): { loss: number; accuracy: number } | undefined {
    const { length } = this.recent;
    if (length === 0) return undefined;
    // Summed from the oldest, so that the sum does not hang on where the ring begins.
    let [loss, accuracy] = [0, 0];
    for (let i = 0; i < length; i++) {
      const [l, a] = this.recent[length < RECENT ? i : (this.steps + i) % RECENT]!;
      loss += l;
      accuracy += a;
    }
    return { loss: loss / length, accuracy: accuracy / length };
  }

  get curve(): CurveData {
    const column = (value: (bucket: Bucket) => number) => Float64Array.from(this.buckets, value);
    return {
      steps: column(({ step }) => step),
      loss: column(({ loss, count }) => loss / count),
      accuracy: column(({ accuracy, count }) => accuracy / count),
      validationLoss: column((b) => b.validationLoss / b.validations),
      validationAccuracy: column((b) => b.validationAccuracy / b.validations),
    };
  }

  /** Two neighbours become one. MOST is even, so that none is left over. */
  private halve(): void {
    const { buckets } = this;
    this.width *= 2;
    this.buckets = Array.from({ length: MOST / 2 }, (_, i) => {
      const [a, b] = [buckets[2 * i]!, buckets[2 * i + 1]!];
      return {
        step: b.step,
        count: a.count + b.count,
        loss: a.loss + b.loss,
        accuracy: a.accuracy + b.accuracy,
        validations: a.validations + b.validations,
        validationLoss: a.validationLoss + b.validationLoss,
        validationAccuracy: a.validationAccuracy + b.validationAccuracy,
      };
    });
  }
}

function emptyBucket(): Bucket {
  return {
    ...{ step: 0, count: 0, loss: 0, accuracy: 0 },
    ...{ validations: 0, validationLoss: 0, validationAccuracy: 0 },
  };
}
