/** Rows for tests. */

import type { Row } from "../src/messages";

/** Row `number`, of the sample with the same index. */
export function row(number: number, changes: Partial<Row> = {}): Row {
  return {
    row: number,
    id: `res_${number}`,
    sample: number,
    media_time: number / 2,
    at: number,
    ok: true,
    text: `answer ${number}`,
    cut: false,
    chips: null,
    error: null,
    latency_ms: 171,
    tokens: 312,
    version: 1,
    ...changes,
  };
}

/** Rows `from` to `to - 1`. */
export function rowsOf(from: number, to: number): Row[] {
  return Array.from({ length: to - from }, (_, i) => row(from + i));
}
