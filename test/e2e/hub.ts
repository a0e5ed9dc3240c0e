/** A real hub for a test: `ganglion up` in a process of its own, with its state in a temporary folder, on free ports. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const root = join(import.meta.dirname, '../..')
const readyMsMax = 60_000
const stopMsMax = 15_000

export interface Hub extends AsyncDisposable {
  /** Address of the dashboard and the API. */
  readonly url: string
  readonly device: string
  readonly stateDir: string
  /** Stops it as a person would, and waits for its end. */
  stop(): Promise<void>
}

/** `httpPort` 0: any free one. `config`: YAML of a configuration file. `faults`: latched by the safety kernel before. */
export async function startHub(
  httpPort = '0',
  config?: string,
  faults: readonly object[] = [],
): Promise<Hub> {
  const stateDir = await mkdtemp(join(tmpdir(), 'ganglion-e2e-'))
  const args = ['runtime/main.ts', 'up', '--json', '--no-voice', '--no-demo', '--state-dir', stateDir]
  if (config !== undefined) {
    const file = join(stateDir, 'config.yaml')
    await writeFile(file, config)
    args.push('--config', file)
  }
  if (faults.length > 0) {
    const sha256 = createHash('sha256').update(JSON.stringify(faults)).digest('hex')
    const safetyDir = join(stateDir, 'device', 'safety')
    await mkdir(safetyDir, { recursive: true, mode: 0o700 })
    await writeFile(join(safetyDir, 'faults.json'), JSON.stringify({ version: 1, sha256, faults }))
  }
  const child = spawn(process.execPath, [...args, '--mqtt-port', '0', '--http-port', httpPort], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stopping: Promise<void> | undefined
  const stop = () => {
    stopping ??= end(child).then(() => rm(stateDir, { recursive: true, force: true }))
    return stopping
  }
  try {
    const ready = await readyLine(child)
    return { url: ready.http, device: ready.device, stateDir, stop, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}

interface Ready {
  readonly http: string
  readonly device: string
}

function readyLine(child: ChildProcess): Promise<Ready> {
  const said: string[] = []
  child.stderr?.on('data', (chunk: Buffer) => said.push(chunk.toString()))
  return new Promise((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`the hub ${why}:\n${said.join('').slice(-4000)}`))
    const timer = setTimeout(() => fail(`was not ready within ${readyMsMax} ms`), readyMsMax)
    child.once('error', (error) => fail(error.message))
    child.once('exit', (code) => {
      clearTimeout(timer)
      fail(`ended with ${code}`)
    })
    if (child.stdout)
      createInterface(child.stdout).on('line', (line) => {
        if (!line.startsWith('{')) return
        const message = JSON.parse(line) as Ready & { readonly ready?: boolean }
        if (message.ready !== true) return
        clearTimeout(timer)
        resolve(message)
      })
  })
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGTERM')
  const kill = setTimeout(() => child.kill('SIGKILL'), stopMsMax)
  await ended
  clearTimeout(kill)
}
