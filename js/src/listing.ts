/** Which rows the results list holds, in order: all, those that fit the filter, or those kept. */

import type { Session } from "./session";
import { lowerBound } from "./timeline_layout";

export interface Listing {
  /** Tells this list from one of other rows; the same while rows are only added. */
  key: string;
  count: number;
  /** Row number of the item, counted from the oldest. */
  numberOf(ordinal: number): number;
  /** The item that is this row, or -1. */
  ordinalOf(number: number): number;
}

export function all(total: number): Listing {
  return {
    key: "all",
    count: total,
    numberOf: (ordinal) => ordinal,
    ordinalOf: (number) => (number < total ? number : -1),
  };
}

/** `numbers` are ascending. */
export function some(key: string, numbers: ArrayLike<number>): Listing {
  return {
    key,
    count: numbers.length,
    numberOf: (ordinal) => numbers[ordinal] ?? -1,
    ordinalOf: (number) => search(numbers, number),
  };
}

/** Index of `value` in ascending `numbers`, or -1. */
export function search(numbers: ArrayLike<number>, value: number): number {
  const index = lowerBound(numbers, value);
  return numbers[index] === value ? index : -1;
}

/** What there is to list now. `matched`: the query that `session.matches` answers. */
export function listingOf(session: Session, matched: string): Listing {
  if (session.matches !== null) return some(`?${matched}`, session.matches);
  // Without a kernel there is nothing but what the notebook holds.
  if (session.connection === "waiting") {
    return some(
      "kept",
      session.model.get("recent").map(({ row }) => row),
    );
  }
  return all(session.rows.total);
}

/** Whether a sample of this fate has a row: result, error. */
const answered = (fate: number | undefined) => fate === 1 || fate === 2;

/**
 * About which row a sample is: as many as samples before it were answered. Exact where answers
 * came in the order of their samples; null if the sample has no row.
 */
export function rowNear(sample: number, fates: Uint8Array): number | null {
  if (!answered(fates[sample])) return null;
  let rows = 0;
  for (let i = 0; i < sample; i++) if (answered(fates[i])) rows += 1;
  return rows;
}
