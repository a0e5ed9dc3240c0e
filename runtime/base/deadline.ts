/** Every wait has a deadline that names what was waited for. */
import type { Clock } from './clock.ts'
import { CodedError } from './errors.ts'

export class DeadlineError extends CodedError<'deadline'> {
  override readonly name = 'DeadlineError'
  constructor(what: string, limitMs: number) {
    super('deadline', `${what} took longer than ${limitMs} ms`, { retryable: true })
  }
}

/** Settles as `work` does, or rejects with DeadlineError after `limitMs`. `work` is told by the signal. */
export async function withDeadline<T>(
  clock: Clock,
  what: string,
  limitMs: number,
  work: (signal: AbortSignal) => Promise<T>,
  parent?: AbortSignal,
): Promise<T> {
  const controller = new AbortController()
  const onParent = () => controller.abort(parent?.reason)
  if (parent?.aborted) throw parent.reason
  parent?.addEventListener('abort', onParent, { once: true })
  const cancel = clock.after(limitMs, () => controller.abort(new DeadlineError(what, limitMs)))
  try {
    const aborted = new Promise<never>((_, reject) => {
      controller.signal.addEventListener('abort', () => reject(controller.signal.reason), { once: true })
    })
    return await Promise.race([work(controller.signal), aborted])
  } finally {
    cancel()
    parent?.removeEventListener('abort', onParent)
  }
}
