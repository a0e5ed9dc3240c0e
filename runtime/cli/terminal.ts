/**
 * What a person or a machine sees: colour and a live line only where there is a terminal, plain lines in a pipe, one JSON
 * line with `--json`. Results go to standard output, progress and notices to standard error.
 */
import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

export interface Terminal {
  readonly json: boolean
  /** Characters of a line on a terminal; undefined in a pipe, which takes lines of any length. */
  readonly columns?: number | undefined
  /** Lines that a terminal shows. */
  readonly rows?: number | undefined
  /** A line of the result. */
  out(line: string): void
  /** A line about what is going on; nothing with --json. */
  note(line: string): void
  /** A mistake or a failure, one line. */
  error(line: string): void
  /** The live line: replaced in place on a terminal; in a pipe, printed only when `key` changes. */
  progress(line: string, key: string): void
  /** Ends the live line. */
  progressEnd(): void
  style(style: Style, text: string): string
}

/** Redraws of the live line: faster than anybody reads, slow enough to cost nothing. */
const liveEveryMs = 100

interface Streams {
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
}

export function createTerminal(json: boolean, streams: Streams = process): Terminal {
  const live = !json && streams.stderr.isTTY === true
  let liveShown = false
  let lastKey = ''
  let lastMs = 0
  const clear = () => {
    if (liveShown) streams.stderr.write('\r\x1b[2K')
    liveShown = false
  }
  return {
    json,
    columns: streams.stdout.isTTY ? streams.stdout.columns : undefined,
    rows: streams.stdout.isTTY ? streams.stdout.rows : undefined,
    out: (line) => {
      clear()
      streams.stdout.write(`${json ? escaped(line) : line}\n`)
    },
    note: (line) => {
      if (json) return
      clear()
      streams.stderr.write(`${line}\n`)
    },
    error: (line) => {
      clear()
      streams.stderr.write(`${styleText('red', 'ganglion:', { stream: streams.stderr })} ${line}\n`)
    },
    progress: (line, key) => {
      if (json) return
      if (live && performance.now() - lastMs >= liveEveryMs) {
        lastMs = performance.now()
        streams.stderr.write(`\r\x1b[2K${line.slice(0, (streams.stderr.columns || 80) - 1)}`)
        liveShown = true
      } else if (!live && key !== lastKey) streams.stderr.write(`${line}\n`)
      lastKey = key
    },
    progressEnd: clear,
    style: (style, text) => styleText(style, text, { stream: streams.stdout }),
  }
}

/**
 * JSON that says the same and moves no cursor: `JSON.stringify` escapes control characters below U+0020, and a terminal takes those
 * from U+007F to U+009F for commands too (C1, ECMA-48), and a few others to hide text or turn its direction. None stands outside a string.
 */
function escaped(line: string): string {
  return line.replace(/[\u007f-\u009f\p{Cf}\u2028\u2029]/gu, (character) =>
    [...Array(character.length).keys()]
      .map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`)
      .join(''),
  )
}

/** What others said, as text: nothing in it moves the cursor, hides text or turns its direction; further lines stand further in. */
export function plainText(text: string): string {
  return text
    .split('\n')
    .map((line) => line.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' '))
    .join('\n    ')
}

/** `12.3 MB`, `47 kB` */
export function megabytes(bytes: number): string {
  return bytes > 0 && bytes < 50_000 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`
}

/** `1 engine`, `2 engines` */
export function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}

/** `0.4 ms`, `842 ms`, `1.4 s` */
export function milliseconds(ms: number): string {
  if (ms > 0 && ms < 1) return `${ms.toFixed(1)} ms`
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}
