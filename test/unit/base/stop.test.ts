/** Being told to stop, as a process: signals and closed pipes are the outside edge. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'

const stop = new URL('../../../runtime/base/stop.ts', import.meta.url).href
const output = new URL('../../../runtime/base/output.ts', import.meta.url).href
const running = new Set<ChildProcess>()
afterEach(() => {
  for (const child of running) child.kill('SIGKILL')
  running.clear()
})

/** Runs `code` with the two modules at hand; it prints a line when it may be stopped. */
function run(code: string, stdio: ('pipe' | 'ipc')[] = ['pipe', 'pipe', 'pipe']) {
  const program = `import { untilStopped, watchStop } from '${stop}'; import { watchOutput } from '${output}'
    const busy = setInterval(() => {}, 1000); ${code}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio })
  running.add(child)
  if (!child.stdout || !child.stderr || !child.stdin) throw new Error('no pipes')
  return {
    child,
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    ended: once(child, 'exit'),
  }
}

const waits = `
  const { signal, watchInput } = watchStop(60_000, () => {})
  watchInput()
  console.log('ready')
  await untilStopped(signal)
  console.log(signal.reason.message)
  clearInterval(busy)`

describe('a process', () => {
  it('takes a second signal for the first', async () => {
    const { child, stdout, ended } = run(`
      const { signal } = watchStop(60_000, () => {})
      console.log('ready')
      await untilStopped(signal)
      process.on('SIGINT', () => clearInterval(busy))
      console.log('stopping')`)
    for await (const chunk of stdout) if (String(chunk)) child.kill('SIGINT')
    expect(await ended).toEqual([0, null])
  })

  it('is stopped by the end of its standard input', async () => {
    const { stdin, stdout, ended } = run(waits)
    await once(stdout, 'data')
    const rest = text(stdout)
    stdin.end()
    expect(await ended).toEqual([0, null])
    expect(await rest).toContain('the parent is gone')
  })

  it('is stopped when what wrapped it is gone', async () => {
    const { child, stdout, ended } = run(waits, ['pipe', 'pipe', 'pipe', 'ipc'])
    await once(stdout, 'data')
    const rest = text(stdout)
    child.disconnect()
    expect(await ended).toEqual([0, null])
    expect(await rest).toContain('the starting process is gone')
  })

  it('ends by force, saying so, when its stop takes too long', async () => {
    const { child, stdout, stderr, ended } = run(`
      watchStop(1, () => process.stderr.write('by force'))
      console.log('ready')`)
    await once(stdout, 'data')
    const errors = text(stderr)
    child.kill('SIGTERM')
    expect(await ended).toEqual([1, null])
    expect(await errors).toBe('by force')
  })

  it('whose reader is gone stops quietly with the exit code of a broken pipe', async () => {
    const { stdin, stdout, stderr, ended } = run(`
      watchOutput('test', () => clearInterval(busy))
      process.stdin.once('end', () => console.log('nobody reads this')).resume()
      console.log('ready')`)
    const errors = text(stderr)
    await once(stdout, 'data')
    stdout.destroy()
    stdin.end()
    expect(await ended).toEqual([141, null])
    expect(await errors).toBe('')
  })
})
