/** `ganglion top` of a running hub, by the real command line. */
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { openHub } from '../fixtures/hub.ts'

const counter = fileURLToPath(new URL('../fixtures/agents/counter.ts', import.meta.url))

test('what agents of a device use is shown, counted through the schedule, and stays when they have ended', async () => {
  await using hub = await openHub(['--no-voice', '--no-demo'])
  expect(hub.run('top', '--once').stdout).toBe('no agents: ganglion agent run FILE.ts starts one\n')
  expect(hub.run('agent', 'run', counter, '--grant', 'all').status).toBe(0)
  const { stdout } = hub.run('top', '--once', '--json')
  const { agents, resources } = JSON.parse(stdout)
  expect(agents).toMatchObject([{ name: 'counter', priority: 'background' }])
  expect(agents[0].turns).toBeGreaterThan(0)
  expect(agents[0].used.cpuMs).toBeGreaterThan(0)
  expect(resources.map(({ name }: { name: string }) => name)).toContain('processor')
  const metrics = await (await fetch(`${hub.ready.http}/metrics`)).text()
  const cpu = /^ganglion_agent_cpu_seconds_total\{device="(.+)",agent="counter"\} ([\d.e-]+)$/m.exec(metrics)
  expect(cpu?.[1]).toBe(hub.ready.device)
  expect(Number(cpu?.[2])).toBeGreaterThan(0)
  const turns = new RegExp(
    `^ganglion_schedule_granted_total\\{device="${hub.ready.device}",resource="processor"\\} (\\d+)$`,
    'm',
  )
  expect(Number(turns.exec(metrics)?.[1])).toBeGreaterThan(0)
  // In a pipe it is shown once.
  expect(hub.run('top').stdout).toMatch(/^processor .*\nAGENT .*\ncounter /)
  expect(hub.run('top', '--once', '--device', 'nonesuch')).toMatchObject({ status: 2 })
})
