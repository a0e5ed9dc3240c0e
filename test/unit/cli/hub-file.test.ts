import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hubUrl, readHub, removeHub, writeHub } from '../../../runtime/cli/hub-file.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ganglion-hub-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

const hub = { pid: process.pid, http: 'http://127.0.0.1:1', mqtt: 'mqtt://127.0.0.1:2', device: 'd' }
/** Above Linux's largest process id. */
const nobody = 2 ** 22 + 1

describe('the hub file', () => {
  it('is found while its process lives', () => {
    writeHub(dir, hub)
    expect(readHub(dir)).toEqual(hub)
    expect(hubUrl({ stateDir: dir })).toBe(hub.http)
  })

  it('is ignored when its process is gone', () => {
    writeHub(dir, { ...hub, pid: nobody })
    expect(readHub(dir)).toBeUndefined()
  })

  it('is ignored when half of it was written', () => {
    writeFileSync(join(dir, 'hub.json'), '{"pid":')
    expect(readHub(dir)).toBeUndefined()
  })

  it('is removed only by the hub that wrote it', () => {
    writeHub(dir, hub)
    removeHub(dir, nobody)
    expect(readHub(dir)).toEqual(hub)
    removeHub(dir, process.pid)
    expect(readHub(dir)).toBeUndefined()
  })

  it('says how to get a hub when there is none', () => {
    expect(() => hubUrl({ stateDir: dir })).toThrow('start one with "ganglion up"')
    expect(() => hubUrl({ stateDir: dir, url: 'nonsense' })).toThrow('--url nonsense: not a URL')
    expect(hubUrl({ stateDir: dir, url: 'http://hub.local:1' })).toBe('http://hub.local:1')
  })
})
