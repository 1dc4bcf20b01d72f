import { h } from "./dom";
import type { Part } from "./view";

export const timeline: Part = () => h("div", { class: "ov-timeline" });
