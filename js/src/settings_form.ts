import { h } from "./dom";
import type { Part } from "./view";

export const settingsForm: Part = () => h("div", { class: "ov-settings" });
