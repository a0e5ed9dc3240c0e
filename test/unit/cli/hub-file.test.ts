import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { announceHub, hubUrl, lockHub, readHub } from '../../../runtime/cli/hub-file.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ganglion-hub-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

const hub = { http: 'http://127.0.0.1:1', mqtt: 'mqtt://127.0.0.1:2', device: 'd' }
/** Above Linux's largest process id. */
const nobody = 2 ** 22 + 1
const write = (content: object) => writeFileSync(join(dir, 'hub.json'), JSON.stringify(content))
const written = () => JSON.parse(readFileSync(join(dir, 'hub.json'), 'utf8'))

describe('the hub file', () => {
  it('is found while its process lives, and gone when the hub closes', () => {
    {
      using _announced = announceHub(dir, hub)
      expect(readHub(dir)).toEqual({ pid: process.pid, ...hub })
      expect(hubUrl(undefined, dir)).toBe(hub.http)
    }
    expect(readHub(dir)).toBeUndefined()
    expect(existsSync(join(dir, 'hub.json'))).toBe(false)
  })

  it('is ignored when its process is gone', () => {
    write({ pid: nobody, ...hub })
    expect(readHub(dir)).toBeUndefined()
  })

  it.runIf(existsSync('/proc/self/stat'))('is ignored when another process has got the process id', () => {
    write({ pid: 1, ...hub })
    expect(readHub(dir)).toBeUndefined()
    using _announced = announceHub(dir, hub)
    write({ ...written(), started: '1' })
    expect(readHub(dir)).toBeUndefined()
  })

  it('is ignored when half of it was written', () => {
    writeFileSync(join(dir, 'hub.json'), '{"pid":')
    expect(readHub(dir)).toBeUndefined()
  })

  it('says how to get a hub when there is none', () => {
    expect(() => hubUrl(undefined, dir)).toThrow('start one with "ganglion up"')
    expect(() => hubUrl('nonsense', dir)).toThrow('--url nonsense: not a URL')
    expect(hubUrl('http://hub.local:1', dir)).toBe('http://hub.local:1')
  })
})

describe('the lock of a hub [cli-6]', () => {
  it('is had once, and again when it was let go', () => {
    {
      using _lock = lockHub(dir)
      expect(() => lockHub(dir)).toThrow(`a hub is already running here (${dir}): stop it`)
      using _announced = announceHub(dir, hub)
      expect(() => lockHub(dir)).toThrow(`(process ${process.pid}, ${hub.http})`)
    }
    using _again = lockHub(dir)
  })

  it('dies with the process that held it', async () => {
    const module = new URL('../../../runtime/cli/hub-file.ts', import.meta.url).href
    const holder = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `globalThis.held = (await import('${module}')).lockHub('${dir}'); console.log('held'); setInterval(() => {}, 1000)`,
      ],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    )
    await once(holder.stdout, 'data')
    expect(() => lockHub(dir)).toThrow('already running')
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    using _lock = lockHub(dir)
  })
})
