import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    environment: "happy-dom",
    include: ["tests/**/*.test.ts"],
    // Making a DOM anew for each file takes four times as long as the tests.
    pool: "threads",
    isolate: false,
  },
});
