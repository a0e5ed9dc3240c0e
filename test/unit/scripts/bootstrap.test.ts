/**
 * The bootstrap, run as a person runs it, in a small checkout of its own. Only npm is a stand-in: a script that does
 * what the test says, since the registry is the outside edge.
 */
import { spawn } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const repository = path.resolve(import.meta.dirname, '../../..')
let checkout: string

beforeEach(() => {
  checkout = mkdtempSync(path.join(os.tmpdir(), 'ganglion-bootstrap-'))
  cpSync(path.join(repository, 'scripts/bootstrap'), path.join(checkout, 'scripts/bootstrap'), {
    recursive: true,
  })
  cpSync(path.join(repository, 'scripts/bootstrap.mjs'), path.join(checkout, 'scripts/bootstrap.mjs'))
  mkdirSync(path.join(checkout, 'runtime'))
  writeFileSync(path.join(checkout, 'runtime/main.ts'), `console.log(JSON.stringify(process.argv.slice(2)))`)
  lock({ 'node_modules/left': '1.0.0' })
})
afterEach(() => rmSync(checkout, { recursive: true, force: true }))

/** Writes package-lock.json: package path to version; the first is a direct dependency. */
function lock(versions: Record<string, string>): void {
  const packages = Object.fromEntries(Object.entries(versions).map(([key, version]) => [key, { version }]))
  const dependencies = { left: versions['node_modules/left'] }
  writeFileSync(
    path.join(checkout, 'package-lock.json'),
    JSON.stringify({ packages: { '': { dependencies }, ...packages } }),
  )
}

/** Makes node_modules as npm leaves it after installing what is locked now. */
function installLocked(): void {
  mkdirSync(path.join(checkout, 'node_modules'), { recursive: true })
  const { packages } = JSON.parse(readFileSync(path.join(checkout, 'package-lock.json'), 'utf8'))
  writeFileSync(path.join(checkout, 'node_modules/.package-lock.json'), JSON.stringify({ packages }))
}

const npmInstalls = `
  import fs from 'node:fs'
  fs.appendFileSync('npm-calls', process.argv.slice(2).join(' ') + '\\n')
  fs.mkdirSync('node_modules', { recursive: true })
  const { packages } = JSON.parse(fs.readFileSync('package-lock.json', 'utf8'))
  fs.writeFileSync('node_modules/.package-lock.json', JSON.stringify({ packages }))`
const npmHasNoNetwork = `
  console.error('npm error code ENOTFOUND')
  console.error('npm error network request to the registry failed')
  process.exit(1)`

interface Run {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function start(npm: string, args: string[], onChild: (pid: number) => void = () => {}): Promise<Run> {
  mkdirSync(path.join(checkout, 'npm'), { recursive: true })
  const script = path.join(checkout, 'npm/npm-cli.js')
  writeFileSync(path.join(checkout, 'npm/package.json'), '{"type":"module"}')
  writeFileSync(script, npm)
  const child = spawn(process.execPath, ['scripts/bootstrap.mjs', ...args], {
    cwd: checkout,
    env: { ...process.env, npm_execpath: script, npm_node_execpath: process.execPath },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (child.pid !== undefined) onChild(child.pid)
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

const calls = () =>
  existsSync(path.join(checkout, 'npm-calls'))
    ? readFileSync(path.join(checkout, 'npm-calls'), 'utf8').trim().split('\n').length
    : 0

describe('bootstrap', () => {
  test('installs what is absent, saying so, and then runs the command with its arguments [scripts-1]', async () => {
    const run = await start(npmInstalls, ['run', 'say', 'turn on the lamp'])
    expect(run).toMatchObject({ code: 0, stdout: '["say","turn on the lamp"]\n' })
    expect(run.stderr).toMatch(/\[1\/1\] Installing dependencies: done/)
  })

  test('says nothing and calls no npm when everything is there [scripts-2]', async () => {
    installLocked()
    const run = await start(npmInstalls, ['start'])
    expect(run).toEqual({ code: 0, stdout: '["up"]\n', stderr: '' })
    expect(calls()).toBe(0)
  })

  test('takes an install cut off before its end for none [scripts-4]', async () => {
    mkdirSync(path.join(checkout, 'node_modules/left'), { recursive: true })
    await start(npmInstalls, ['run'])
    expect(calls()).toBe(1)
  })

  test('installs again when a locked version differs from the installed one', async () => {
    installLocked()
    lock({ 'node_modules/left': '2.0.0' })
    const run = await start(npmInstalls, ['run'])
    expect(run.stderr).toContain('Updating dependencies')
    expect(existsSync(path.join(checkout, '.node_modules.previous'))).toBe(false)
  })

  test('without a registry and without dependencies ends with one line that says what to do [scripts-3]', async () => {
    const run = await start(npmHasNoNetwork, ['run'])
    expect(run.code).toBe(1)
    expect(run.stdout).toBe('')
    expect(run.stderr.trim().split('\n').at(-1)).toMatch(/^Cannot reach the npm registry: connect/)
  })

  test('without a registry goes on with older dependencies when those named in package.json are the same', async () => {
    installLocked()
    lock({ 'node_modules/left': '1.0.0', 'node_modules/right': '1.0.0' })
    const run = await start(npmHasNoNetwork, ['run', 'status'])
    expect(run).toMatchObject({ code: 0, stdout: '["status"]\n' })
    expect(run.stderr).toContain('Going on with the dependencies installed before')
  })

  test('without a registry keeps older dependencies and refuses to run when a named one differs', async () => {
    installLocked()
    lock({ 'node_modules/left': '2.0.0' })
    const run = await start(npmHasNoNetwork, ['run'])
    expect(run.code).toBe(1)
    expect(existsSync(path.join(checkout, 'node_modules/.package-lock.json'))).toBe(true)
  })

  test('two at once install once', async () => {
    const runs = await Promise.all([start(npmInstalls, ['run', 'a']), start(npmInstalls, ['run', 'b'])])
    expect(runs.map((run) => run.stdout)).toEqual(['["a"]\n', '["b"]\n'])
    expect(calls()).toBe(1)
  })

  test('takes over the lock of a process that is gone', async () => {
    const gone = await new Promise<number>((resolve) => {
      const child = spawn(process.execPath, ['-e', ''])
      child.on('close', () => resolve(child.pid ?? 0))
    })
    writeFileSync(path.join(checkout, '.bootstrap.lock'), String(gone))
    expect(await start(npmInstalls, ['run'])).toMatchObject({ code: 0 })
  })

  test('takes over an empty lock that was left before its process id was written', async () => {
    const file = path.join(checkout, '.bootstrap.lock')
    writeFileSync(file, '')
    utimesSync(file, 1, 1)
    expect(await start(npmInstalls, ['run'])).toMatchObject({
      code: 0,
      stderr: expect.not.stringMatching('waiting'),
    })
    expect(existsSync(file)).toBe(false)
  })

  test.each([
    ['before its successor was begun', false],
    ['while its successor was being installed', true],
  ])('an install set aside by an update that was killed %s is used again', async (_, begun) => {
    installLocked()
    writeFileSync(path.join(checkout, 'node_modules/kept'), '')
    renameSync(path.join(checkout, 'node_modules'), path.join(checkout, '.node_modules.previous'))
    if (begun) mkdirSync(path.join(checkout, 'node_modules/half'), { recursive: true })
    expect(await start(npmHasNoNetwork, ['run'])).toMatchObject({ code: 0, stderr: '' })
    expect(existsSync(path.join(checkout, 'node_modules/kept'))).toBe(true)
    expect(existsSync(path.join(checkout, 'node_modules/half'))).toBe(false)
  })

  test('SIGINT while installing ends npm too, releases the lock and exits 130', async () => {
    const npmHangs = `
      import fs from 'node:fs'
      fs.writeFileSync('npm-pid', String(process.pid))
      process.kill(process.ppid, 'SIGINT')
      setInterval(() => {}, 1000)`
    const run = await start(npmHangs, ['run'])
    expect(run.code).toBe(130)
    expect(existsSync(path.join(checkout, '.bootstrap.lock'))).toBe(false)
    const npmPid = Number(readFileSync(path.join(checkout, 'npm-pid'), 'utf8'))
    expect(() => process.kill(npmPid, 0)).toThrow('ESRCH')
  })

  test('passes the exit code of the command on', async () => {
    installLocked()
    writeFileSync(path.join(checkout, 'runtime/main.ts'), 'process.exit(7)')
    expect(await start(npmInstalls, ['run'])).toMatchObject({ code: 7 })
  })

  test('every npm script replaces the shell that npm starts it in, so that signals to npm arrive [scripts-6]', () => {
    const { scripts } = JSON.parse(readFileSync(path.join(repository, 'package.json'), 'utf8'))
    for (const [name, script] of Object.entries<string>(scripts))
      if (script.includes('bootstrap')) expect(script, name).toMatch(/^exec node /)
  })

  test('a signal to what a shell started reaches the program, which ends first [scripts-6]', async () => {
    installLocked()
    cpSync(path.join(repository, 'scripts/ganglion.mjs'), path.join(checkout, 'scripts/ganglion.mjs'))
    writeFileSync(
      path.join(checkout, 'runtime/main.ts'),
      `process.on('SIGTERM', () => {
        console.log('stopping ' + process.argv.slice(2))
        process.exit(5)
      })
      setInterval(() => {}, 1000)
      console.log('started')`,
    )
    const child = spawn(process.execPath, ['scripts/ganglion.mjs', 'say'], {
      cwd: checkout,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let stdout = ''
    child.stdout.on('data', (chunk) => {
      if (stdout === '') child.kill('SIGTERM')
      stdout += chunk
    })
    const code = await new Promise((resolve) => child.on('close', resolve))
    expect({ code, stdout }).toEqual({ code: 5, stdout: 'started\nstopping say\n' })
  })

  test('a command that it does not know ends with the list of those it knows', async () => {
    const run = await start(npmInstalls, ['constructor'])
    expect(run).toMatchObject({ code: 1, stdout: '' })
    expect(run.stderr).toMatch(/^bootstrap: no command "constructor" \(start, run, test/)
  })

  test('builds the dashboard with Vite when its page is absent, and not again', async () => {
    installLocked()
    symlinkSync(path.join(repository, 'node_modules/vite'), path.join(checkout, 'node_modules/vite'))
    const dashboard = path.join(checkout, 'gateway/dashboard')
    mkdirSync(dashboard, { recursive: true })
    writeFileSync(path.join(dashboard, 'vite.config.ts'), 'export default {}')
    writeFileSync(path.join(dashboard, 'index.html'), '<!doctype html><title>here</title>')
    const first = await start(npmInstalls, ['start'])
    expect(first.stderr).toContain('Building the dashboard: done')
    expect(readFileSync(path.join(dashboard, 'dist/index.html'), 'utf8')).toContain('here')
    expect((await start(npmInstalls, ['start'])).stderr).toBe('')
  })
})
