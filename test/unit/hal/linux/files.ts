/** A folder of made-up kernel files and programs, gone after each test. */
import { execFileSync } from 'node:child_process'
import { chmodSync, constants, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'

const systemPath = process.env['PATH'] ?? ''

export interface Files {
  readonly folder: string
  path(name: string): string
  write(files: Readonly<Record<string, string>>): void
  fifo(name: string): string
  /** Puts a shell script first on the PATH. */
  program(name: string, script: string): void
}

/** The folder of the test that runs. */
export function useFiles(): () => Files {
  let files: Files | undefined
  beforeEach(() => {
    files = filesIn(mkdtempSync(join(tmpdir(), 'hal-linux-')))
  })
  afterEach(() => {
    process.env['PATH'] = systemPath
    if (files) rmSync(files.folder, { recursive: true, force: true })
  })
  return () => {
    if (!files) throw new Error('no test runs')
    return files
  }
}

function filesIn(folder: string): Files {
  const path = (name: string) => join(folder, name)
  const write = (name: string, text: string) => {
    mkdirSync(dirname(path(name)), { recursive: true })
    writeFileSync(path(name), text)
  }
  return {
    folder,
    path,
    write: (all) => {
      for (const [name, text] of Object.entries(all)) write(name, text)
    },
    fifo(name) {
      mkdirSync(dirname(path(name)), { recursive: true })
      execFileSync('mkfifo', [path(name)])
      return path(name)
    },
    program(name, script) {
      write(`bin/${name}`, `#!/bin/sh\n${script}\n`)
      chmodSync(path(`bin/${name}`), 0o755)
      process.env['PATH'] = `${path('bin')}:${systemPath}`
    },
  }
}

export function hasProgram(name: string): boolean {
  try {
    execFileSync('which', [name], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** The writing end of a pipe, once somebody reads it; a plain open would hold this thread until then. */
export async function openWriter(path: string): Promise<number> {
  let fd: number | undefined
  await until('somebody reads', () => {
    try {
      fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error
    }
    return fd !== undefined
  })
  return fd as number
}

export const never = new AbortController().signal

/** Waits for a condition, at most ten seconds. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const limit = Date.now() + 10_000
  while (!condition()) {
    if (Date.now() > limit) throw new Error(`waited too long until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
