import { expect, test } from "vitest";
import { CrashWindow } from "./crash-window.ts";

function windowOf(...crashesMs: number[]): CrashWindow {
  const window = new CrashWindow(1_000);
  for (const crashMs of crashesMs) window.crashed(crashMs);
  return window;
}

test("five crashes within the window, four are none", () => {
  expect(windowOf(0, 1, 2, 3).health(3)).toBe("healthy");
  expect(windowOf(0, 1, 2, 3, 4).health(4)).toBe("unhealthy");
  expect(windowOf(0, 300, 600, 900, 1_200).health(1_200)).toBe("healthy");
});

test("it is over when the fifth last crash is longer ago than the window", () => {
  const window = windowOf(0, 100, 200, 300, 400, 500);
  expect(window.healthyInMs(600)).toBe(500);
  expect(window.health(1_099)).toBe("unhealthy");
  expect(window.health(1_100)).toBe("healthy");
  expect(window.healthyInMs(1_100)).toBe(0);
});

test("an engine that lived long enough makes good for all before it", () => {
  const window = windowOf(0, 1, 2, 3, 4);
  window.proveStable();
  expect(window.health(5)).toBe("healthy");
  window.crashed(6);
  expect(window.health(6)).toBe("healthy");
});
