/** What `up` begins in a simulated home, against a hub that says what a test wants: sockets are real, devices are answers. */
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { grantsOfWants, printGrants } from '../../../runtime/agent/permissions/grant.ts'
import comfort from '../../../runtime/agents/comfort.agent.ts'
import { Identity } from '../../../runtime/base/identity.ts'
import { beginHomeAgents, holdHomeAgents } from '../../../runtime/cli/home-agents.ts'
import { HubClient } from '../../../runtime/cli/hub-client.ts'
import { signedParts } from '../../../runtime/wire/agents.ts'
import { localBytes } from '../../../runtime/wire/person.ts'

interface Run {
  readonly bundle: string
  readonly grants: string
  readonly by: string
  readonly local: { readonly atMs: number; readonly sig: string }
}
type Listed = { readonly name: string; readonly state: string }

let directory: string
let url: string
let stop: () => void
/** By device: its agents, or an error; absent: none. */
let lists: Record<string, readonly Listed[] | string>
let rooms: readonly string[]
/** What the hub says where it is asked what there is, and does not know. */
let away: string | undefined
/** What a device answers to `run`; it has the agent from then on. */
let take: (device: string, run: Run, response: ServerResponse) => void
let runs: { readonly device: string; readonly run: Run }[]
/** What else was asked of agents: `stop a/comfort-1`. */
let asked: string[]
const accept = (response: ServerResponse) => response.end(JSON.stringify({ name: 'as asked' }))
const refuse = (response: ServerResponse, message: string) => {
  response.statusCode = 403
  response.end(JSON.stringify({ error: { message } }))
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'home-agents-'))
  ;[lists, rooms, runs, asked, away] = [{}, [], [], [], undefined]
  take = (_, __, response) => accept(response)
  const server = createServer(async (request, response) => {
    const [, device = ''] = /^\/api\/devices\/([^/]+)\/agents$/.exec(request.url ?? '') ?? []
    const [, of = '', name = '', what = ''] =
      /^\/api\/devices\/([^/]+)\/agents\/([^/]+)\/([^/]+)$/.exec(request.url ?? '') ?? []
    if (what) {
      asked.push(`${what} ${of}/${name}`)
      expect(await json(request)).toMatchObject({ by: expect.stringMatching(/ \(ganglion up\)$/) })
      response.end(JSON.stringify({ name }))
    } else if (request.url === '/api/entities' && away !== undefined) refuse(response, away)
    else if (request.url === '/api/entities') {
      const entities = rooms.map((room) => ({ device: room, id: `valve.${room}_heating` }))
      const devices = ['a', 'b', 'c'].map((id) => ({ id, home: {} }))
      response.end(JSON.stringify({ devices, entities }))
    } else if (request.method === 'POST') {
      const run = (await json(request)) as Run
      runs.push({ device, run })
      take(device, run, response)
    } else {
      const agents = lists[device] ?? []
      if (typeof agents === 'string') refuse(response, agents)
      else response.end(JSON.stringify({ agents }))
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  stop = () => {
    server.closeAllConnections()
    server.close()
  }
})
afterEach(() => {
  stop()
  rmSync(directory, { recursive: true })
})

const stateOf = (device: string) => join(directory, device)
const places = () => {
  const devices = ['a', 'b', 'c'].map((id) => ({ id, keeps: stateOf(id) }))
  for (const { id, keeps } of devices) Identity.open(id, keeps)
  return devices
}
const begin = (signal = new AbortController().signal) =>
  beginHomeAgents(places(), { hub: new HubClient(url, signal), signal, progress: () => {} })
function hold() {
  const { signal } = new AbortController()
  return holdHomeAgents(places(), { hub: new HubClient(url, signal), signal })
}

test('each device that heats a room gets one with all that it wants, granted by whoever starts the hub', async () => {
  rooms = ['a', 'c']
  expect(await begin()).toEqual([
    { device: 'a', name: 'comfort-1', did: 'begun' },
    { device: 'c', name: 'comfort-3', did: 'begun' },
  ])
  expect(runs.map(({ device }) => device).toSorted()).toEqual(['a', 'c'])
  for (const { device, run } of runs) {
    expect(run.grants).toBe(printGrants(grantsOfWants(comfort.wants ?? [])))
    expect(run.by).toMatch(/ \(ganglion up\)$/)
    const what = signedParts({ ask: 'run', grants: run.grants }, run.bundle)
    const bytes = localBytes(device, run.by, run.local.atMs, what)
    const signature = Buffer.from(run.local.sig, 'base64')
    expect(Identity.open(device, stateOf(device)).verify(device, bytes, signature)).toBe('valid')
  }
})

test('where it is, stopped or not, it is left; once removed it stays so until the state is new [home-agents-1]', async () => {
  rooms = ['a', 'b']
  await begin()
  lists = { a: [{ name: 'comfort-1', state: 'stopped' }] }
  expect(await begin()).toEqual([
    { device: 'a', name: 'comfort-1', did: 'left', why: 'stopped' },
    { device: 'b', name: 'comfort-2', did: 'left', why: 'removed' },
  ])
  expect(runs).toHaveLength(2)
  rmSync(stateOf('b'), { recursive: true })
  expect((await begin())[1]).toMatchObject({ did: 'begun' })
})

test('one that a person began under that name, or another comfort agent there, is left [home-agents-1] [home-agents-2]', async () => {
  rooms = ['a', 'b', 'c']
  lists = {
    a: [
      { name: 'comfort-1', state: 'running' },
      { name: 'comfort-2', state: 'running' },
    ],
    c: [{ name: 'comfort', state: 'failed' }],
  }
  expect(await begin()).toEqual([
    { device: 'a', name: 'comfort-1', did: 'left', why: 'running' },
    { device: 'b', name: 'comfort-2', did: 'left', why: 'on a' },
    { device: 'c', name: 'comfort-3', did: 'left', why: 'comfort is there, failed' },
  ])
  // What a person begins and removes does not come back either.
  lists = {}
  expect((await begin()).map(({ why }) => why)).toEqual(['removed', 'removed', 'removed'])
  expect(runs).toEqual([])
})

test('where its rooms are not here one is stopped and named, and goes on when they are back [home-agents-4]', async () => {
  rooms = ['a', 'b']
  await begin()
  lists = { a: [{ name: 'comfort-1', state: 'running' }], b: [{ name: 'comfort-2', state: 'running' }] }
  rooms = ['b']
  expect(await hold()).toEqual([{ device: 'a', name: 'comfort-1' }])
  expect(asked).toEqual(['stop a/comfort-1'])
  // It is named at each such start, and stopped once.
  lists['a'] = [{ name: 'comfort-1', state: 'stopped' }]
  expect(await hold()).toEqual([{ device: 'a', name: 'comfort-1' }])
  expect(asked).toHaveLength(1)
  rooms = ['a', 'b']
  expect(await hold()).toEqual([])
  expect(await begin()).toEqual([
    { device: 'a', name: 'comfort-1', did: 'resumed' },
    { device: 'b', name: 'comfort-2', did: 'left', why: 'running' },
  ])
  expect(asked).toEqual(['stop a/comfort-1', 'resume a/comfort-1'])
})

test('one without its rooms that a person lets go on, had stopped or has removed is left [home-agents-1] [home-agents-4]', async () => {
  rooms = ['a', 'b']
  await begin()
  lists = { a: [{ name: 'comfort-1', state: 'running' }], b: [{ name: 'comfort-2', state: 'stopped' }] }
  rooms = []
  expect(await hold()).toEqual([{ device: 'a', name: 'comfort-1' }])
  expect(await hold()).toEqual([])
  lists = {}
  expect(await hold()).toEqual([])
  expect(asked).toEqual(['stop a/comfort-1'])
  rooms = ['a', 'b']
  lists = { b: [{ name: 'comfort-2', state: 'stopped' }] }
  expect((await begin()).map(({ why }) => why)).toEqual(['removed', 'stopped'])
})

test('a device that refuses is told of, the others begin, and the next start asks it again [home-agents-3]', async () => {
  rooms = ['a', 'b', 'c']
  lists = { b: 'b does not answer' }
  take = (device, _, response) =>
    device === 'a' ? refuse(response, 'the policy never grants it') : accept(response)
  expect(await begin()).toEqual([
    { device: 'a', name: 'comfort-1', did: 'failed', why: 'the policy never grants it' },
    { device: 'b', name: 'comfort-2', did: 'failed', why: 'b does not answer' },
    { device: 'c', name: 'comfort-3', did: 'begun' },
  ])
  lists = { c: [{ name: 'comfort-3', state: 'running' }] }
  take = (_, __, response) => accept(response)
  expect((await begin()).map(({ did }) => did)).toEqual(['begun', 'begun', 'left'])
})

test('a hub that does not say what there is is told of for each device, and goes on [home-agents-3]', async () => {
  rooms = ['a']
  away = 'the gateway is starting'
  const told = await begin()
  expect(told.map(({ name, did, why }) => [name, did, why])).toEqual(
    [1, 2, 3].map((at) => [`comfort-${at}`, 'failed', 'the gateway is starting']),
  )
  away = undefined
  expect(await begin()).toMatchObject([{ device: 'a', did: 'begun' }])
})

test('Ctrl-C while the next program is read is no error that nobody hears', async () => {
  rooms = ['a', 'b', 'c']
  const controller = new AbortController()
  const why = new Error('stopped')
  const unheard: unknown[] = []
  const hear = (error: unknown) => void unheard.push(error)
  process.on('unhandledRejection', hear)
  try {
    take = (device) => void (device === 'a' && controller.abort(why))
    await expect(begin(controller.signal)).rejects.toBe(why)
    // Those that nobody heard are told after what was to be done at once.
    await new Promise(setImmediate)
  } finally {
    process.off('unhandledRejection', hear)
  }
  expect(unheard).toEqual([])
})

test('Ctrl-C in the middle ends it at once, and what was not begun is begun next time', async () => {
  rooms = ['a']
  const controller = new AbortController()
  const why = new Error('stopped')
  take = () => controller.abort(why)
  await expect(begin(controller.signal)).rejects.toBe(why)
  expect(existsSync(join(stateOf('a'), 'home-agents'))).toBe(false)
  take = (_, __, response) => accept(response)
  expect(await begin()).toMatchObject([{ did: 'begun' }])
})
