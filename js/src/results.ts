import { h } from "./dom";
import type { Part } from "./view";

export const results: Part = () => h("div", { class: "ov-results" });
