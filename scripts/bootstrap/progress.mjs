/** Numbered, honest progress: one line that changes on a terminal, plain lines in a pipe. */

/** A failure shown as its message alone. */
export class BootstrapError extends Error {
  constructor(message, exitCode = 1) {
    super(message)
    this.exitCode = exitCode
  }
}

const liveEveryMs = 200
/** In a pipe, often enough to show life, seldom enough for a log. */
const plainEveryMs = 5000

export class Progress {
  #step = 0

  constructor(stream, steps) {
    this.stream = stream
    this.steps = steps
  }

  /**
   * Runs one step. `measure` returns `[done, total]` or undefined while nothing can be counted. Prints the elapsed
   * time and the count until `work` settles.
   */
  async step(title, work, measure = () => undefined) {
    this.#step += 1
    const label = `[${this.#step}/${this.steps}] ${title}`
    const startedMs = Date.now()
    const line = () => `${label}${counted(measure())} ${elapsed(startedMs)}`
    const live = this.stream.isTTY
    if (!live) this.stream.write(`${label}\n`)
    const show = () =>
      this.stream.write(live ? `\r\x1b[K${clip(line(), this.stream.columns)}` : `${line()}\n`)
    const timer = setInterval(show, live ? liveEveryMs : plainEveryMs)
    let ending = 'failed'
    try {
      const result = await work()
      ending = 'done'
      return result
    } finally {
      clearInterval(timer)
      this.stream.write(`${live ? '\r\x1b[K' : ''}${label}: ${ending} ${elapsed(startedMs)}\n`)
    }
  }

  /** A line of its own between steps. */
  note(text) {
    this.stream.write(`${text}\n`)
  }
}

function counted(count) {
  if (!count) return ''
  const [done, total] = count
  const width = 20
  const filled = Math.round((width * Math.min(done, total)) / Math.max(total, 1))
  return ` [${'#'.repeat(filled)}${'.'.repeat(width - filled)}] ${done}/${total}`
}

function elapsed(sinceMs) {
  return `(${((Date.now() - sinceMs) / 1000).toFixed(1)} s)`
}

/** A line longer than the terminal would wrap and could not be overwritten. */
function clip(text, columns) {
  return text.slice(0, Math.max((columns || 80) - 1, 20))
}
