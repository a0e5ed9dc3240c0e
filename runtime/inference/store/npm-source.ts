/**
 * Fetches one package's tarball by running `npm pack`: only npm itself follows all of a user's npm configuration
 * (registry per scope, credentials, which `npm config get` refuses to tell, proxy, certificates), and it checks the
 * registry's integrity value. Price: no resume within a tarball. npm gets an empty cache folder of its own, whose
 * growing file is the progress; no install script runs, nothing is installed.
 */
import { spawn } from 'node:child_process'
import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type Clock, sleep } from '../../base/clock.ts'
import { IdleLimit } from './idle-limit.ts'
import { redacted, StoreError, type StoreErrorCode } from './store-error.ts'

/** npm that gets nothing for this long is stuck. */
const idleMsMax = 60_000
const pollMs = 250
/** npm's answer is a list of file names. */
const outputCharsMax = 4 * 1024 * 1024
/** After SIGTERM, before SIGKILL. */
const stopMsMax = 2_000

export interface NpmFetch {
  readonly clock: Clock
  /** `package@version`, checked by `parseSource`. */
  readonly spec: string
  /** An empty folder; the caller removes it. */
  readonly dir: string
  readonly onBytes: (bytes: number) => void
}

/** Path of the tarball. Throws StoreError. */
export async function fetchNpm(fetching: NpmFetch, signal: AbortSignal): Promise<string> {
  const { clock, spec, dir } = fetching
  using idle = new IdleLimit(clock, `npm, fetching ${spec},`, idleMsMax, signal)
  using watch = watchGrowth(clock, join(dir, 'cache', '_cacache', 'tmp'), (bytes) => {
    idle.touch()
    fetching.onBytes(bytes)
  })
  void watch
  const { exitCode, output } = await runNpm(clock, spec, dir, idle.signal)
  const answer = parseAnswer(output)
  if (exitCode !== 0) throw npmError(spec, answer, exitCode)
  const filename = Array.isArray(answer) ? answer[0]?.filename : undefined
  if (typeof filename !== 'string')
    throw new StoreError('malformed', `npm pack ${spec} did not say which file it wrote: update npm`)
  return join(dir, basename(filename))
}

function runNpm(
  clock: Clock,
  spec: string,
  dir: string,
  signal: AbortSignal,
): Promise<{ exitCode: number | null; output: string }> {
  const options = ['--ignore-scripts', '--loglevel=error', '--fetch-retries=0', '--update-notifier=false']
  const args = ['pack', spec, '--json', '--pack-destination', dir, '--cache', join(dir, 'cache'), ...options]
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const child = spawn('npm', args, { stdio: ['ignore', 'pipe', 'ignore'] })
    let output = ''
    let kill = () => {}
    const stop = () => {
      child.kill('SIGTERM')
      kill = clock.after(stopMsMax, () => child.kill('SIGKILL'))
    }
    signal.addEventListener('abort', stop, { once: true })
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (output.length < outputCharsMax) output += text
    })
    const settle = (finish: () => void) => {
      signal.removeEventListener('abort', stop)
      kill()
      finish()
    }
    child.on('error', (cause) => settle(() => reject(noNpm(cause))))
    child.on('close', (exitCode) =>
      settle(() => (signal.aborted ? reject(signal.reason) : resolve({ exitCode, output }))),
    )
  })
}

function noNpm(cause: Error): StoreError {
  return new StoreError(
    'source-unreachable',
    'npm cannot be started: install npm, or copy the models folder from a machine that has it',
    { cause },
  )
}

interface NpmAnswer {
  readonly error?: { readonly code?: unknown; readonly summary?: unknown }
  readonly [index: number]: { readonly filename?: unknown }
}

/** npm may print notices around its JSON. */
function parseAnswer(output: string): NpmAnswer | undefined {
  const start = output.search(/^[[{]/m)
  if (start === -1) return undefined
  try {
    return JSON.parse(output.slice(start))
  } catch {
    return undefined
  }
}

const npmCodes: Readonly<Record<string, StoreErrorCode>> = {
  E404: 'not-found',
  ETARGET: 'not-found',
  ENOVERSIONS: 'not-found',
  EINTEGRITY: 'digest',
  ENOSPC: 'disk',
  EDQUOT: 'disk',
  EACCES: 'disk',
  EPERM: 'disk',
  EROFS: 'disk',
}
const remedies: Readonly<Partial<Record<StoreErrorCode, string>>> = {
  'not-found': 'check the version, and the registry with `npm config get registry`',
  digest: 'the registry sent something else than it announced: try another registry',
  disk: 'free some space, or make the models folder writable',
}

function npmError(spec: string, answer: NpmAnswer | undefined, exitCode: number | null): StoreError {
  const npmCode = typeof answer?.error?.code === 'string' ? answer.error.code : `exit code ${exitCode}`
  const summary = typeof answer?.error?.summary === 'string' ? `: ${redacted(answer.error.summary)}` : ''
  const code = npmCodes[npmCode] ?? 'source-unreachable'
  const remedy = remedies[code] ?? 'check the network, and the registry with `npm config get registry`'
  return new StoreError(code, `npm could not fetch ${spec} (${npmCode}${summary}); ${remedy}`, {
    retryable: code === 'source-unreachable',
  })
}

/** Reports the size of the file that npm is writing, whenever it has grown. */
function watchGrowth(clock: Clock, dir: string, onBytes: (bytes: number) => void): Disposable {
  const stopped = new AbortController()
  const watch = async () => {
    let lastBytes = 0
    for (;;) {
      await sleep(clock, pollMs, stopped.signal)
      const bytes = await largestFileBytes(dir)
      if (bytes > lastBytes && !stopped.signal.aborted) onBytes(bytes)
      lastBytes = Math.max(lastBytes, bytes)
    }
  }
  // It ends by being stopped, never otherwise.
  watch().catch(() => {})
  return { [Symbol.dispose]: () => stopped.abort() }
}

async function largestFileBytes(dir: string): Promise<number> {
  const names = await readdir(dir).catch(() => [])
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(dir, name)).then(
        (stats) => stats.size,
        () => 0,
      ),
    ),
  )
  return Math.max(0, ...sizes)
}
