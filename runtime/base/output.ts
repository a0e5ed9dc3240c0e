/**
 * Standard output that cannot be written any more. Its reader is gone (`| head -1`): a quiet end with the exit code that
 * a shell gives for SIGPIPE. Anything else, such as a full disk: one line and exit code 1.
 */
import { messageOf } from './errors.ts'

const readerGone = 141

export interface OutputWatch {
  /** Set once the output is lost; also becomes the exit code of a process that has done all else. */
  readonly exitCode: number | undefined
}

export function watchOutput(program: string, onLost: () => void): OutputWatch {
  const watch: { exitCode: number | undefined } = { exitCode: undefined }
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (watch.exitCode !== undefined) return
    watch.exitCode = error.code === 'EPIPE' ? readerGone : 1
    process.exitCode = watch.exitCode
    if (error.code !== 'EPIPE')
      process.stderr.write(`${program}: cannot write the output: ${messageOf(error)}\n`)
    onLost()
  })
  // Nobody is left to be told.
  process.stderr.on('error', () => {})
  return watch
}
