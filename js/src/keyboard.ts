import type { View } from "./view";

export function listenToKeys(_view: View): void {}
