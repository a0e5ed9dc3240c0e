/**
 * Entry files of the HAL's threads and small programs. In the source tree they are `.ts` files in their rooms; in a
 * bundle each is an entry of its own (`scripts/build.ts`), and the build rewrites these addresses to it.
 */

export const workerUrls = {
  sensors: () => new URL('./attached/sensor-worker.ts', import.meta.url),
  safety: () => new URL('./safety/thread.ts', import.meta.url),
  makeSafe: () => new URL('./safety/make-safe.ts', import.meta.url),
} as const
