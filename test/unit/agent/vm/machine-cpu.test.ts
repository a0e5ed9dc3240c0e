/** A turn is charged for what it computes, not for what else the machine has to do meanwhile. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { turnLimits } from '../../../../runtime/agent/turn.ts'
import { realClock, sleep } from '../../../../runtime/base/clock.ts'

const program = fileURLToPath(new URL('../../../fixtures/agent/turns-until-stopped.ts', import.meta.url))
const children: ChildProcess[] = []
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
})

test('a turn that the processor was taken from is not ended [vm-9]', async () => {
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  const lines = createInterface({ input: child.stdout })
  const [begun] = await once(lines, 'line')
  expect(begun).toBe('begun')
  let said: string | undefined
  lines.once('line', (line) => {
    said = line
  })
  // Almost all of its time is spent in turns: sooner or later it is stopped in the middle of one.
  while (said === undefined) {
    child.kill('SIGSTOP')
    await sleep(realClock, 3 * turnLimits.cpuMsMax)
    child.kill('SIGCONT')
    await sleep(realClock, 100)
  }
  expect(said).toBe('late')
}, 60_000)
