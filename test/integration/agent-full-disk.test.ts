/** What people ask of agents while the disk is full: what makes one do less is done all the same, and said to be on no record. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { Identity } from '../../runtime/base/identity.ts'
import { auditIn } from '../../runtime/observe/audit.ts'
import { newestLines, verifyAudit } from '../../runtime/observe/audit-chain.ts'

const script = join(import.meta.dirname, '../fixtures/agent/agent-answerer.ts')

/** In a process of its own, whose files can be kept from growing. */
async function device(stateDir: string) {
  const child = spawn('/bin/sh', ['-c', `trap '' XFSZ; exec "$0" "$@"`, process.execPath, script, stateDir], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const logged: string[] = []
  const next = async () => {
    for (;;) {
      const said = JSON.parse((await lines.next()).value as string)
      if (said?.log === undefined) return said
      logged.push(said.log)
    }
  }
  expect(await next()).toBe('ready')
  return {
    logged,
    ask: async (asked: object | 'lives') => {
      child.stdin.write(`${typeof asked === 'string' ? asked : JSON.stringify(asked)}\n`)
      return await next()
    },
    roomFor: (bytes: number | 'unlimited') =>
      expect(spawnSync('prlimit', ['--pid', `${child.pid}`, `--fsize=${bytes}:`]).status).toBe(0),
    end: async () => {
      child.stdin.end()
      await ended
    },
  }
}

test('what makes an agent do less is done on a full disk, the answer and the log say that it is not on record, and the record follows [agent-calls-3] [agents-9] [audit-7]', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'agent-full-disk-'))
  onTestFinished(() => rmSync(stateDir, { recursive: true, force: true }))
  const { ask, roomFor, logged, end } = await device(stateDir)
  const waiter = { name: 'waiter', by: 'Eve' }

  roomFor(64)
  const refused = {
    refused: expect.stringMatching(/^nothing was done: .*free some space on it and try again/),
  }
  for (const more of ['remove', 'resume']) expect(await ask({ ask: more, ...waiter })).toEqual(refused)
  expect(await ask('lives')).toBe(true)

  expect(await ask({ ask: 'grant', deny: ['lock.*:command'], ...waiter })).toEqual({
    refused: expect.stringMatching(
      /free some space on it; .* "ganglion agent stop waiter" works all the same$/,
    ),
  })
  expect(await ask({ ask: 'stop', ...waiter })).toEqual({
    refused: expect.stringMatching(/^waiter does nothing any more, and goes on when the device starts again/),
  })
  expect(await ask('lives')).toBe(false)
  expect(logged.join('\n')).toMatch(/not on record/)

  roomFor('unlimited')
  expect(await ask({ ask: 'stop', ...waiter })).toEqual({ name: 'waiter' })
  expect(await ask({ ask: 'list' })).toMatchObject({ agents: [{ name: 'waiter', state: 'stopped' }] })
  await end()

  const identity = Identity.open('hub', stateDir)
  const report = await verifyAudit(auditIn(stateDir), (...args) => identity.verify(...args))
  expect([report.problems, readdirSync(auditIn(stateDir))]).toEqual([[], ['00000001.log', 'head']])
  const entries = (await newestLines(auditIn(stateDir), 100)).map(({ entry }) => entry)
  expect(entries.filter((entry) => entry.kind === 'asked-for').map((entry) => entry['ask'])).toEqual([
    ...['run', 'remove', 'resume', 'grant', 'stop', 'stop'],
  ])
}, 60_000)
